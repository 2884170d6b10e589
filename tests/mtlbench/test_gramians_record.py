"""The noise of a Gramian is the covariance it says; what is recorded is the training run's, twice the same bytes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from mtlbench import config, gramians, tasks
from mtlbench.errors import InputError
from mtlbench.gramians.noise import covariance, measure
from mtlbench.gramians.recipe import RECIPES, Series
from mtlbench.gramians.record import record
from mtlbench.training.cell import run_seed

pytestmark = pytest.mark.xdist_group("record")

TINY = Series(
    name="tiny",
    dataset="scaled_regression",
    parameters={"tasks": 3},
    methods=("equal", "mgda"),
    seeds=(1,),
    steps=(1, 3, 6),
    micro_batches=8,
)


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    return record(tmp_path_factory.mktemp("recorded"), 1, (TINY,))


def test_gramian_and_noise_of_a_network_are_those_of_its_gradients_in_numpy():
    generator = torch.Generator().manual_seed(0)
    inputs = torch.randn(12, 4, generator=generator, dtype=torch.float64)
    shared = torch.randn(4, 3, generator=generator, dtype=torch.float64, requires_grad=True)
    heads = [torch.randn(3, generator=generator, dtype=torch.float64, requires_grad=True) for _ in range(3)]

    def losses(part):
        hidden = torch.tanh(inputs[part] @ shared)
        return [(hidden @ head - 1).square().mean() for head in heads]

    def gradient(part, head):
        hidden = np.tanh(inputs[part].numpy() @ shared.detach().numpy())
        weights = head.detach().numpy()
        residual = 2 * (hidden @ weights - 1) / len(hidden)
        return (inputs[part].numpy().T @ (np.outer(residual, weights) * (1 - hidden**2))).ravel()

    parts = [slice(3 * i, 3 * i + 3) for i in range(4)]
    measured = measure(losses(slice(None)), (losses(part) for part in parts))
    rows = np.array([[gradient(part, head) for part in parts] for head in heads])  # (K, B, P)
    whole = np.array([gradient(slice(None), head) for head in heads])
    apart = (rows - rows.mean(axis=1, keepdims=True)).reshape(3, -1)
    np.testing.assert_allclose(rows.mean(axis=1), whole, rtol=1e-12)
    np.testing.assert_allclose(measured.gramian, whole @ whole.T, rtol=1e-12)
    np.testing.assert_allclose(measured.noise, apart @ apart.T / (4 * 3), rtol=1e-12)
    assert measured.shared_parameters == 12


def test_the_noise_is_the_known_covariance_and_without_it_the_gramian_is_unbiased():
    """Samples g_i = m_i + Σ_j A_ij e_j, e_j standard normal in R^5: tr Cov(g_i, g_j) = 5 (A Aᵀ)_ij."""
    rng = np.random.default_rng(3)
    means = rng.standard_normal((3, 5))
    mixing = np.array([[3.0, 0.0, 0.0], [-2.0, 1.0, 0.0], [1.0, 1.0, 4.0]])
    samples, parts, batches = 24, 6, 1500
    known = 5 * mixing @ mixing.T / samples
    drawn = means + np.einsum("ij,rnjd->rnid", mixing, rng.standard_normal((batches, samples, 3, 5)))
    micro = drawn.reshape(batches, parts, -1, 3, 5).mean(axis=2)
    noise, gramian = np.zeros((3, 3)), np.zeros((3, 3))
    for rows in micro:
        noise += covariance([tuple((task,) for task in torch.from_numpy(part)) for part in rows]) / batches
        mean = rows.mean(axis=0)
        gramian += mean @ mean.T / batches
    signal = means @ means.T
    scale = np.sqrt(np.outer(np.diag(known), np.diag(known)))
    assert (np.abs(noise - known) <= 0.03 * scale).all()
    assert (np.abs(gramian - noise - signal) <= 0.15 * scale).all()
    assert (np.diag(gramian - signal) >= 0.8 * np.diag(known)).all()  # the bias that the noise takes away


def test_with_missing_labels_the_noise_is_that_of_a_mean_over_those_that_are_there():
    """Labels are there with probability 0.6, and N is how the mean over them scatters from batch to batch."""
    rng = np.random.default_rng(5)
    samples, parts, batches, dimension = 60, 12, 3000, 5
    noise, means = np.zeros((2, 2)), np.zeros((batches, 2, dimension))
    for batch in range(batches):
        drawn = np.array([[[2.0], [-1.0]]]) + rng.standard_normal((samples, 1, dimension))
        there = (rng.random((samples, 2)) < 0.6).astype(float)
        means[batch] = np.einsum("nk,nkd->kd", there, drawn) / there.sum(axis=0)[:, None]
        labels = there.reshape(parts, -1, 2).sum(axis=1)
        sums = np.einsum("bnk,bnkd->bkd", there.reshape(parts, -1, 2), drawn.reshape(parts, -1, 2, dimension))
        rows = torch.from_numpy(sums / np.maximum(labels, 1)[..., None])
        noise += covariance([tuple((task,) for task in part) for part in rows], labels) / batches
    apart = means - means.mean(axis=0)
    scatter = np.einsum("nid,njd->ij", apart, apart) / (batches - 1)
    np.testing.assert_allclose(noise, scatter, rtol=0.1)


def test_equal_numbers_of_labels_change_nothing_and_a_part_without_any_counts_for_nothing():
    rows = torch.from_numpy(np.random.default_rng(1).standard_normal((4, 2, 3)))
    jacobians = [tuple((task,) for task in part) for part in rows]
    plain = covariance(jacobians)
    np.testing.assert_allclose(covariance(jacobians, np.full((4, 2), 7.0)), plain, rtol=1e-12)
    beside = [*jacobians, ((torch.zeros(3),), (torch.zeros(3),))]
    np.testing.assert_allclose(covariance(beside, np.array([[7.0, 7.0]] * 4 + [[0.0, 0.0]])), plain, rtol=1e-12)
    with pytest.raises(InputError, match="task 1 needs at least 2 micro-batches that have a label of it, got 1"):
        covariance(jacobians, np.array([[1.0, 1.0], [1.0, 0.0], [1.0, 0.0], [1.0, 0.0]]))


def test_small_noise_does_not_drown_in_a_long_gradient():
    rng = np.random.default_rng(0)
    apart = 1e-5 * rng.standard_normal((4, 6))
    jacobians = [((torch.from_numpy(1e4 + row),),) for row in apart]
    expected = ((apart - apart.mean(axis=0)) ** 2).sum() / (4 * 3)
    np.testing.assert_allclose(covariance(jacobians), [[expected]], rtol=1e-5)


def test_one_micro_batch_has_no_noise_to_show():
    with pytest.raises(InputError, match="at least 2 micro-batches, got 1"):
        covariance([((torch.ones(3),),)])


def test_what_is_recorded_are_the_gramians_of_the_training_run(recorded, tmp_path):
    found = {record.name: record for record in gramians.check(recorded)}
    for method in TINY.methods:
        cell = config.single_cell(
            "scaled_regression",
            method,
            dataset_parameters={"tasks": 3},
            seeds=(1,),
            epochs=1,
            audit_interval=3,
            device="cpu",
        )
        run_seed(cell, 1, tmp_path / method)
        audit = np.load(tmp_path / method / "audit.npz")
        for stage, place in (("middle", 1), ("late", 2)):
            mine = found[f"tiny/{method}/seed-1/{stage}"]
            assert mine.meta.step == audit["steps"][place] == TINY.steps[place]
            assert (mine.gramian == audit["gramians"][place]).all()
    assert [r.meta.epoch for r in found.values()] == [1] * 6
    assert {r.meta.shared_parameters for r in found.values()} == {16 * 64 + 64 + 64 * 64 + 64}


def test_a_second_recording_writes_the_same_bytes(recorded, tmp_path):
    again = record(tmp_path, 1, (TINY,))
    for suffix in (".npz", ".json"):
        assert again.with_suffix(suffix).read_bytes() == recorded.with_suffix(suffix).read_bytes()


def test_recording_draws_nothing_from_the_global_random_state(tmp_path):
    torch.manual_seed(7)
    expected = torch.rand(3)
    torch.manual_seed(7)
    record(tmp_path, 1, (replace(TINY, micro_batches=2),))
    assert (torch.rand(3) == expected).all()


def test_a_batch_that_cannot_be_cut_evenly_is_refused(tmp_path):
    with pytest.raises(ValueError, match="a batch of 256 cannot be cut into 6 equal parts"):
        record(tmp_path, 1, (replace(TINY, micro_batches=6),))
    assert not list(tmp_path.iterdir())


def test_the_collection_that_ships_is_the_one_its_recipe_asks_for():
    assert sorted(RECIPES) == list(range(1, gramians.LATEST + 1))
    for version, recipe in RECIPES.items():
        asked = [
            (f"{series.name}/{method}/seed-{seed}/{stage}", step, dict(series.parameters), series.micro_batches)
            for series in recipe
            for method in series.methods
            for seed in series.seeds
            for stage, step in zip(("early", "middle", "late"), series.steps, strict=True)
        ]
        shipped = gramians.read(gramians.index_file(version))
        assert [(r.name, r.meta.step, r.meta.parameters, r.meta.micro_batches) for r in shipped] == asked
        batches = {s.name: s.batch_size or tasks.get(s.dataset, **s.parameters).protocol.batch_size for s in recipe}
        assert all(r.meta.batch_size == batches[r.name.partition("/")[0]] for r in shipped)


def test_a_recording_without_its_data_says_so_before_it_trains(tmp_path):
    series = Series(name="multimnist", dataset="multimnist", steps=(1, 2, 3))
    with pytest.raises(ValueError, match="MTLBENCH_DATA"):
        record(tmp_path, 1, (TINY, series), data_dir=tmp_path / "nowhere")
    assert not list(tmp_path.iterdir())

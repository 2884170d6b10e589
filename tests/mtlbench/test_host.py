"""The loops that read gradients where they lie say what the formula says, and the memory that stays changes nothing."""

from __future__ import annotations

import gc
from collections.abc import Sequence

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from mtlbench import backward, host, kept, methods
from mtlbench.errors import InputError
from mtlbench.gradients import gramian, step

# One is longer than what is read at once, one shorter than what is summed side by side, one empty.
SHAPES = ((70, 67), (3, 5), (0,), (130,))


def gradients(tasks: int, dtype: torch.dtype = torch.float32, seed: int = 0) -> tuple[tuple[Tensor, ...], ...]:
    source = torch.Generator().manual_seed(seed)
    return tuple(
        tuple(torch.randn(shape, generator=source, dtype=torch.float64).to(dtype) for shape in SHAPES)
        for _ in range(tasks)
    )


def flat(row: Sequence[Tensor]) -> np.ndarray:
    return torch.cat([tensor.reshape(-1).double() for tensor in row]).numpy()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(("tasks", "others"), [(1, 1), (1, 4), (2, 3), (5, 2)])
def test_any_numbers_of_rows_are_multiplied_in_float64(tasks, others, dtype):
    left, right = gradients(tasks, dtype), gradients(others, dtype, seed=1)
    j, k = np.array([flat(row) for row in left]), np.array([flat(row) for row in right])
    np.testing.assert_allclose(gramian(left, right), j @ k.T, rtol=0, atol=1e-10)
    found = gramian(left)
    np.testing.assert_allclose(found, j @ j.T, rtol=0, atol=1e-10)
    assert (found == found.T).all()


def test_a_product_has_the_same_bits_whatever_stands_beside_it():
    rows = gradients(5)
    matrix = gramian(rows)
    for chosen in ([0, 1, 2], [3, 0], [4]):
        assert (gramian(tuple(rows[i] for i in chosen)) == matrix[np.ix_(chosen, chosen)]).all()


def test_without_compilation_the_bits_are_the_same(monkeypatch):
    rows = tuple(row[1:] for row in gradients(3))
    compiled, update = gramian(rows), host.combination(rows, np.array([0.5, 0.0, 2.0]))
    monkeypatch.setattr(host, "_multiply", host._multiply.py_func)
    monkeypatch.setattr(host, "_add_products", host._add_products.py_func)
    monkeypatch.setattr(host, "_combine", host._combine.py_func)
    assert (gramian(rows) == compiled).all()
    for plain, tensor in zip(host.combination(rows, np.array([0.5, 0.0, 2.0])), update, strict=True):
        assert torch.equal(plain, tensor)


def test_gradients_of_different_size_are_never_read():
    with pytest.raises(InputError, match="the same size for all tasks"):
        gramian(((torch.ones(3),), (torch.ones(2),)))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_weighted_sum_is_new_and_leaves_out_what_has_no_weight(dtype):
    rows = gradients(3, dtype)
    for tensor in rows[1]:
        tensor.fill_(torch.nan)
    weights = np.array([0.25, 0.0, 3.0])
    for found, first, last in zip(host.combination(rows, weights), rows[0], rows[2], strict=True):
        torch.testing.assert_close(found, 0.25 * first + 3 * last)
        assert found.dtype == dtype
        assert not found.numel() or found.data_ptr() not in {first.data_ptr(), last.data_ptr()}


@pytest.mark.parametrize(
    "odd",
    [torch.ones(4, 3).T, torch.ones(3, 4).half(), torch.ones(()).expand(3, 4), torch.eye(3, 4).to_sparse()],
    ids=["transposed", "half", "expanded", "sparse"],
)
def test_what_does_not_lie_in_order_is_left_to_torch(odd):
    assert host.combination(((odd,), (odd,)), np.ones(2)) is None


# ---- memory that stays with a method --------------------------------------------------------------------------


def grads(method, seeds, tasks=3, batches=1) -> list[Tensor]:
    """The shared ``.grad`` after each of some steps; a bias is added twice, so that its gradient comes expanded."""
    found = []
    for seed in seeds:
        torch.manual_seed(seed)
        trunk, heads = nn.Sequential(nn.Linear(6, 8), nn.Tanh()), [nn.Linear(8, 1) for _ in range(tasks)]
        one, two = nn.Parameter(torch.randn(5, 8)), nn.Parameter(torch.randn(5, 8))

        def losses(trunk=trunk, heads=heads, one=one, two=two):
            h = trunk(torch.randn(5, 6)) + (one + two)
            return [head(h).square().mean() for head in heads]

        backward(losses() if batches == 1 else [losses() for _ in range(batches)], method)
        found += [parameter.grad for parameter in (*trunk.parameters(), one, two)]
    return found


@pytest.mark.parametrize(
    ("name", "batches"), [("mgda", 1), ("pcgrad", 1), ("modo", methods.get("modo").batches), ("moco", 1)]
)
def test_the_memory_that_stays_changes_no_bit(name, batches, monkeypatch):
    expected = grads(methods.get(name), range(4), batches=batches)
    monkeypatch.setattr(kept, "_LARGE", 0)
    method = methods.get(name)
    other = methods.get("mgda")
    found = []
    for seed in range(4):
        found += grads(method, [seed], batches=batches)
        grads(other, [seed + 9], tasks=2 + seed % 2)  # another method's memory is its own
    for mine, plain in zip(found, expected, strict=True):
        assert torch.equal(mine, plain)


def test_a_method_may_meet_other_models_and_other_numbers_of_tasks(monkeypatch):
    monkeypatch.setattr(kept, "_LARGE", 0)
    method = methods.get("mgda")
    for tasks in (2, 4, 3):
        for mine, plain in zip(grads(method, [tasks], tasks), grads(methods.get("mgda"), [tasks], tasks), strict=True):
            assert torch.equal(mine, plain)
    parameter = nn.Parameter(torch.randn(3, dtype=torch.float64))
    record = step([parameter.sum(), (2 * parameter).sum()], method)
    np.testing.assert_allclose(record.gramian, [[3, 6], [6, 12]])
    torch.testing.assert_close(parameter.grad, torch.ones(3, dtype=torch.float64))


def test_the_memory_goes_with_its_method(monkeypatch):
    monkeypatch.setattr(kept, "_LARGE", 0)
    gc.collect()
    before = len(kept._kept)
    method = methods.get("mgda")
    grads(method, [0])
    assert len(kept._kept) == before + 1
    del method
    gc.collect()
    assert len(kept._kept) == before

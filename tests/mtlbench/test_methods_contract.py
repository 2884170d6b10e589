"""Every file in mtlbench/methods is held to the contract of its room and to its own promises."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from mtlbench import methods
from mtlbench.methods import Method

FOLDER = Path(methods.__file__).parent
DOCS = Path(__file__).parents[2] / "docs" / "add-a-method.md"
Factory = Callable[[], Method]


class Case:
    """K tasks with gradients of controlled rank and scale; a representation between them and the parameters."""

    def __init__(self, seed: int, tasks: int, rank: int, spread: float) -> None:
        rng = np.random.default_rng([seed, tasks, rank])
        scales = 10 ** (spread * rng.uniform(-1, 1, tasks))
        self.z = scales[:, None] * (rng.normal(size=(tasks, rank)) @ rng.normal(size=(rank, 12)))
        self.encoder = rng.normal(size=(12, 12))
        self.losses = rng.uniform(0.2, 3.0, tasks)

    def changed(self, scales=1.0, order=slice(None)) -> Case:
        other = object.__new__(Case)
        factors = np.broadcast_to(scales, self.losses.shape)
        other.z, other.losses = (factors[:, None] * self.z)[order], (factors * self.losses)[order]
        other.encoder = self.encoder
        return other

    def rows(self, method: Method) -> np.ndarray:
        """The gradients of the shared parameters; what the method sees of them depends on its level."""
        return self.z @ self.encoder if method.level == "representation" else self.z

    def weights(self, factory: Factory) -> np.ndarray:
        return factory().weights(gramian=self.z @ self.z.T, losses=self.losses)

    def direction(self, factory: Factory) -> np.ndarray:
        return self.rows(factory()).T @ self.weights(factory)


CASES = [
    Case(seed, tasks, rank, spread)
    for seed in range(6)
    for tasks in (2, 3, 5, 8)
    for rank in sorted({1, (tasks + 1) // 2, tasks})
    for spread in (0.0, 1.0)
]
# Full rank keeps the comparison of two solutions of an inner problem well conditioned.
REGULAR = [Case(seed, tasks, 12, 0.5) for seed in range(4) for tasks in (2, 3, 5)]


def close(found: np.ndarray, expected: np.ndarray) -> bool:
    return bool(np.linalg.norm(found - expected) <= 1e-6 * np.linalg.norm(expected))


def linear(case: Case, factory: Factory, a: np.ndarray, b: np.ndarray) -> bool:
    parts = [case.changed(scales).direction(factory) for scales in (a, b)]
    return close(case.changed(a + b).direction(factory), parts[0] + parts[1])


def parallel(found: np.ndarray, expected: np.ndarray) -> bool:
    return close(found / np.linalg.norm(found), expected / np.linalg.norm(expected))


def check_declarations(factory: Factory, name: str) -> None:
    method = factory()
    assert method.name == name
    assert method.summary.strip()
    assert "\n" not in method.summary
    assert method.source.strip()
    assert method.needs in ("losses", "gramian", "jacobian", "losses_after")
    assert method.level in ("shared", "representation")
    assert method.batches == 1 or method.level == "shared"
    assert method.zero_task in ("drop", "keep")
    assert method.head_weights in ("none", "same")
    assert method.options()["head_weights"] == method.head_weights
    assert json.loads(json.dumps(method.options())) == method.options()
    assert type(method)(**method.options()).options() == method.options()
    assert method.solution is None
    assert method.cost(4) in (1, 4 * method.batches)


def check_weights(factory: Factory) -> None:
    for case in (*CASES[:8], Case(0, 1, 1, 0.0)):
        gramian = case.z @ case.z.T
        weights = factory().weights(gramian=gramian, losses=case.losses)
        assert isinstance(weights, np.ndarray)
        assert weights.dtype == np.float64
        assert weights.shape == case.losses.shape
        assert np.isfinite(weights).all()
        inputs = {"gramian": torch.from_numpy(gramian), "losses": torch.from_numpy(case.losses)}
        assert factory().weights(**inputs).tobytes() == weights.tobytes()


def check_state(factory: Factory) -> None:
    method, rng = factory(), np.random.default_rng(0)

    def advance(method: Method, case: Case) -> bytes:
        jacobian = tuple((torch.from_numpy(row),) for row in case.z)
        rows = method.rows(jacobian, torch.from_numpy(case.losses))
        flat = np.array([row[0].numpy() for row in rows])
        weights = method.weights(gramian=flat @ flat.T, losses=case.losses)
        method.observe(case.losses * 0.9)
        return weights.tobytes()

    steps = [Case(int(rng.integers(1000)), 3, 3, 0.5) for _ in range(6)]
    steps[1].z[0] = 0
    for case in steps[:3]:
        advance(method, case)
    state, resumed = method.state_dict(), factory()
    expected = [advance(method, case) for case in steps[3:]]
    resumed.load_state_dict(state)
    assert resumed.zero_task_events == state["zero_task_events"]
    assert [advance(resumed, case) for case in steps[3:]] == expected
    # Loading took a copy: the state can be loaded again.
    again = factory()
    again.load_state_dict(state)
    assert [advance(again, case) for case in steps[3:]] == expected
    with pytest.raises(methods.method.InputError, match="the state holds"):
        factory().load_state_dict({"other": 1})


def check_conflict(factory: Factory) -> None:
    """No task's loss rises where that is promised; where it is not, the method shows that it can."""
    worst = 0.0
    for case in CASES:
        method = factory()
        rows, weights = case.rows(method), case.weights(factory)
        lengths = np.linalg.norm(rows, axis=1)
        # Relative to the largest product that rounding could have cancelled from.
        worst = min(worst, float((rows @ (rows.T @ weights) / (lengths * (abs(weights) @ lengths))).min()))
    assert (worst >= -1e-9) == factory().promises.non_conflicting, f"the worst cosine-like product is {worst}"


def check_scaling(factory: Factory) -> None:
    promises = factory().promises
    degree, law = promises.common_scale, promises.task_scale
    laws_broken = {"invariant": 0, "direction": 0, "linear": 0}
    for case in REGULAR:
        plain = case.direction(factory)
        for c in (1e-6, 0.3, 1e5):
            if degree is not None:
                assert close(case.changed(c).direction(factory), c ** (degree + 1) * plain)
        rng = np.random.default_rng(len(case.losses))
        a, b = 10 ** rng.uniform(-1, 1, (2, len(case.losses)))
        scaled = case.changed(a).direction(factory)
        laws_broken["invariant"] += not close(scaled, plain)
        laws_broken["direction"] += not parallel(scaled, plain)
        laws_broken["linear"] += not linear(case, factory, a, b)
    if law == "none":
        assert all(laws_broken.values()), f"it promises too little: {laws_broken} cases break each law"
    else:
        assert not laws_broken[law]


def check_permutation(factory: Factory) -> None:
    if not factory().promises.permutation:
        return
    for case in REGULAR:
        order = np.random.default_rng(1).permutation(len(case.losses))
        permuted = case.changed(order=order)
        assert close(permuted.direction(factory), case.direction(factory))
        if factory().promises.unique == "weights":
            assert close(permuted.weights(factory), case.weights(factory)[order])


def check_special_tasks(factory: Factory) -> None:
    """Identical tasks, opposed tasks, and tasks without a gradient have finite weights and the declared policy."""
    g = np.array([3.0, 4.0])
    for rows in ([g, g, g], [g, -g], [g, 0 * g], [0 * g, 0 * g]):
        method, jacobian = factory(), np.array(rows)
        weights = method.weights(gramian=jacobian @ jacobian.T, losses=np.ones(len(rows)))
        assert np.isfinite(weights).all()
        zero = ~jacobian.any(axis=1)
        if method.needs in ("gramian", "jacobian"):
            assert method.zero_task_events == zero.sum()
            if method.zero_task == "drop":
                assert not weights[zero].any()
        if method.promises.non_conflicting and not zero.any():
            assert (jacobian @ (jacobian.T @ weights) >= -1e-9).all()


CHECKS = (
    check_weights,
    check_state,
    check_conflict,
    check_scaling,
    check_permutation,
    check_special_tasks,
)


def test_every_file_is_listed():
    files = {path.stem for path in FOLDER.glob("*.py")} - {"__init__", "method"}
    assert set(methods.names()) == files
    assert list(methods.names()) == sorted(files)


@pytest.mark.parametrize("name", methods.names())
def test_declarations(name):
    check_declarations(lambda: methods.get(name), name)


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("name", methods.names())
def test_contract(name, check):
    check(lambda: methods.get(name))


@pytest.fixture
def inverse_loss(tmp_path, monkeypatch):
    """The example of the documentation, dropped in as a file."""
    blocks = re.findall(r"```python\n(.*?)```", DOCS.read_text(encoding="utf-8"), re.DOTALL)
    (tmp_path / "inverse_loss.py").write_text(blocks[0], encoding="utf-8")
    monkeypatch.setattr(methods, "__path__", [*methods.__path__, str(tmp_path)])
    monkeypatch.delitem(__import__("sys").modules, "mtlbench.methods.inverse_loss", raising=False)
    return blocks


def test_a_dropped_in_file_is_picked_up_and_held_to_the_contract(inverse_loss):
    assert "inverse_loss" in methods.names()
    check_declarations(lambda: methods.get("inverse_loss"), "inverse_loss")
    for check in CHECKS:
        check(lambda: methods.get("inverse_loss"))
    tests: dict[str, Callable[[], None]] = {}
    exec(inverse_loss[1], tests)
    tests["test_weights_are_inverse_losses"]()


def test_the_contract_catches_a_wrong_promise(inverse_loss):
    method = type(methods.get("inverse_loss"))

    def lying(**promise) -> Factory:
        changed = method.promises.__class__(**{**vars(method.promises), **promise})
        return type("Lying", (method,), {"promises": changed})

    for check, factory in (
        (check_conflict, lying(non_conflicting=True)),
        (check_scaling, lying(common_scale=0.0)),
        (check_scaling, lying(task_scale="linear")),
        (check_scaling, lying(task_scale="none")),
    ):
        with pytest.raises(AssertionError):
            check(factory)

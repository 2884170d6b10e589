"""Every file in mtlbench/methods is held to the contract of its room and to its own promises."""

from __future__ import annotations

import json
import pickle
import re
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path

import numpy as np
import pytest
import torch

from mtlbench import methods
from mtlbench.methods import Method
from mtlbench.methods.method import COUNTERS

FOLDER = Path(methods.__file__).parent
DOCS = Path(__file__).parents[2] / "docs" / "add-a-method.md"
Factory = Callable[[], Method]


class Case:
    """K tasks with gradients of controlled rank and scale; a representation between them and the parameters.

    ``past``: the gradients of two steps before, which methods with a memory have seen; ``trend``: their losses,
    relative to those of this step.
    """

    def __init__(self, seed: int, tasks: int, rank: int, spread: float) -> None:
        rng = np.random.default_rng([seed, tasks, rank])
        scales = 10 ** (spread * rng.uniform(-1, 1, tasks))
        self.z = scales[:, None] * (rng.normal(size=(tasks, rank)) @ rng.normal(size=(rank, 12)))
        self.encoder = rng.normal(size=(12, 12))
        self.losses = rng.uniform(0.2, 3.0, tasks)
        self.past = scales[:, None] * rng.normal(size=(2, tasks, 12))
        self.trend = rng.uniform(0.5, 2.0, (2, tasks))

    def changed(self, scales=1.0, order=slice(None)) -> Case:
        other = object.__new__(Case)
        factors = np.broadcast_to(scales, self.losses.shape)
        other.z, other.losses = (factors[:, None] * self.z)[order], (factors * self.losses)[order]
        other.past = (factors[:, None] * self.past)[:, order]
        other.encoder, other.trend = self.encoder, self.trend[:, order]
        return other

    def below(self, method: Method, rows: np.ndarray) -> np.ndarray:
        """The same rows as gradients of the shared parameters; what the method sees depends on its level."""
        return rows @ self.encoder if method.level == "representation" else rows

    def step(self, method: Method) -> tuple[np.ndarray, np.ndarray]:
        """The weights of this step and the rows that they combine; a method with a state has made two before it."""
        for past, trend in zip(self.past, self.trend, strict=True) if set(method.state_dict()) - set(COUNTERS) else ():
            advance(method, past, trend * self.losses, after=trend**2 * self.losses)
        rows, weights = advance(method, self.z, self.losses)
        return weights, self.below(method, rows)

    def weights(self, factory: Factory) -> np.ndarray:
        return self.step(factory())[0]

    def direction(self, factory: Factory) -> np.ndarray:
        weights, rows = self.step(factory())
        return rows.T @ weights


def advance(method: Method, z: np.ndarray, losses: np.ndarray, as_tensors=False, after=None):
    """One training step on the gradients ``z``: the rows that the method combines, and its weights."""
    rows = z
    if method.needs == "jacobian":
        found = method.rows(tuple((torch.tensor(row),) for row in z), torch.tensor(losses))
        rows = np.array([row[0].numpy() for row in found])
    inputs = {"gramian": rows @ rows.T, "losses": losses}
    weights = method.weights(**({k: torch.from_numpy(v) for k, v in inputs.items()} if as_tensors else inputs))
    method.observe(losses * 0.9 if after is None else after)
    return rows, weights


CASES = [
    Case(seed, tasks, rank, spread)
    for seed in range(6)
    for tasks in (2, 3, 5, 8)
    for rank in sorted({1, (tasks + 1) // 2, tasks})
    for spread in (0.0, 1.0)
]
# The last two tasks all but oppose each other, and the first one conflicts with both.
CASES.append(Case(0, 3, 3, 0.0))
CASES[-1].z[:] = 0
CASES[-1].z[:, :3] = [[0, -1, 1], [1, 1e-3, 0], [-1, 1e-3, 0]]
# Full rank keeps the comparison of two solutions of an inner problem well conditioned.
REGULAR = [Case(seed, tasks, 12, 0.5) for seed in range(4) for tasks in (2, 3, 5)]


def close(found: np.ndarray, expected: np.ndarray) -> bool:
    return bool(np.linalg.norm(found - expected) <= 1e-6 * np.linalg.norm(expected))


def linear(case: Case, factory: Factory, a: np.ndarray, b: np.ndarray) -> bool:
    parts = [case.changed(scales).direction(factory) for scales in (a, b)]
    return close(case.changed(a + b).direction(factory), parts[0] + parts[1])


def is_power(plain: np.ndarray, scaled: dict[float, np.ndarray]) -> bool:
    """Whether all that changes with c is the length, by one power of c."""
    degrees = [np.log(np.linalg.norm(found) / np.linalg.norm(plain)) / np.log(c) for c, found in scaled.items()]
    return all(parallel(found, plain) for found in scaled.values()) and np.ptp(degrees) < 1e-6


def parallel(found: np.ndarray, expected: np.ndarray) -> bool:
    return close(found / np.linalg.norm(found), expected / np.linalg.norm(expected))


def check_declarations(factory: Factory, name: str) -> None:
    method = factory()
    assert method.name == name
    assert method.summary.strip()
    assert "\n" not in method.summary
    assert method.source.strip()
    assert method.needs in ("losses", "gramian", "jacobian", "losses_after")
    assert method.level in method.levels if hasattr(method, "levels") else method.level == "shared"
    assert method.batches == 1 or method.level == "shared"
    assert method.zero_task in ("drop", "keep")
    assert method.head_weights in ("none", "same")
    assert method.options()["head_weights"] == method.head_weights
    assert json.loads(json.dumps(method.options())) == method.options()
    assert type(method)(**method.options()).options() == method.options()
    assert pickle.loads(pickle.dumps(deepcopy(method))).options() == method.options()
    assert method.solution is None
    assert method.cost(4) in (1, 4 * method.batches)


def check_weights(factory: Factory) -> None:
    for case in (*CASES[:8], Case(0, 1, 1, 0.0)):
        _, weights = advance(factory(), case.z, case.losses)
        assert isinstance(weights, np.ndarray)
        assert weights.dtype == np.float64
        assert weights.shape == case.losses.shape
        assert np.isfinite(weights).all()
        assert advance(factory(), case.z, case.losses, as_tensors=True)[1].tobytes() == weights.tobytes()


def check_state(factory: Factory) -> None:
    method, rng = factory(), np.random.default_rng(0)

    def go_on(method: Method, case: Case) -> bytes:
        return b"".join(part.tobytes() for part in advance(method, case.z, case.losses))

    steps = [Case(int(rng.integers(1000)), 3, 3, 0.5) for _ in range(6)]
    steps[1].z[0] = 0
    for case in steps[:3]:
        go_on(method, case)
    state, resumed = method.state_dict(), factory()
    expected = [go_on(method, case) for case in steps[3:]]
    resumed.load_state_dict(state)
    assert resumed.zero_task_events == state["zero_task_events"]
    assert [go_on(resumed, case) for case in steps[3:]] == expected
    # Loading took a copy: the state can be loaded again.
    again = factory()
    again.load_state_dict(state)
    assert [go_on(again, case) for case in steps[3:]] == expected
    with pytest.raises(methods.method.InputError, match="the state holds"):
        factory().load_state_dict({"other": 1})


def check_conflict(factory: Factory) -> None:
    """No task's loss rises where that is promised; where it is not, the method shows that it can."""
    worst = 0.0
    for case in CASES:
        weights, rows = case.step(factory())
        gradients = case.below(factory(), case.z)
        # Relative to the largest product that rounding could have cancelled from; 0 where nothing moves.
        reach = np.linalg.norm(gradients, axis=1) * (abs(weights) @ np.linalg.norm(rows, axis=1))
        worst = min(worst, float((gradients @ (rows.T @ weights) / np.where(reach > 0, reach, 1)).min()))
    assert (worst >= -1e-9) == factory().promises.non_conflicting, f"the worst cosine-like product is {worst}"


def count_broken_laws(case: Case, factory: Factory, laws_broken: dict[str, int]) -> None:
    a, b = 10 ** np.random.default_rng(len(case.losses)).uniform(-1, 1, (2, len(case.losses)))
    plain, scaled = case.direction(factory), case.changed(a).direction(factory)
    laws_broken["invariant"] += not close(scaled, plain)
    laws_broken["direction"] += bool(plain.any() and scaled.any()) and not parallel(scaled, plain)
    laws_broken["linear"] += not linear(case, factory, a, b)


def check_scaling(factory: Factory) -> None:
    promises = factory().promises
    degree, law = promises.common_scale, promises.task_scale
    laws_broken = {"invariant": 0, "direction": 0, "linear": 0}
    powers = 0
    for case in REGULAR:
        plain = case.direction(factory)
        by_c = {c: case.changed(c).direction(factory) for c in (1e-6, 0.3, 1e5)}
        if degree is not None:
            assert all(close(found, c ** (degree + 1) * plain) for c, found in by_c.items())
        powers += degree is None and is_power(plain, by_c)
        count_broken_laws(case, factory, laws_broken)
    if law == "none":
        # A law may hold for all but dependent or strongly opposed gradients: any case may be the witness against it.
        for case in CASES:
            if not all(laws_broken.values()):
                count_broken_laws(case, factory, laws_broken)
    if degree is None:
        assert powers < len(REGULAR), "it promises too little: every case follows a law of c"
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
        combined, weights = advance(method, jacobian, np.ones(len(rows)))
        assert np.isfinite(weights).all()
        zero = ~combined.any(axis=1)
        if method.needs in ("gramian", "jacobian"):
            assert method.zero_task_events == zero.sum()
            if method.zero_task == "drop":
                assert not weights[zero].any()
        if method.promises.non_conflicting and not zero.any():
            assert (jacobian @ (combined.T @ weights) >= -1e-9).all()


CHECKS = (
    check_weights,
    check_state,
    check_conflict,
    check_scaling,
    check_permutation,
    check_special_tasks,
)


# Options that change what a method promises, or that might.
VARIANTS = (
    *(
        ("mgda", {"normalisation": normalisation, "combine": combine})
        for normalisation in ("l2", "loss", "loss+")
        for combine in ("normalised", "plain")
    ),
    ("aligned_mtl", {"scale": "median", "rank_tolerance": 2.0**-50}),
    ("cagrad", {"rescale": "none", "radius": 0.9}),
    ("cagrad", {"radius": 1.0}),
    ("conicgrad", {"cosine": 0.0}),
    ("dualproj", {"reduction": "sum"}),
    ("fairgrad", {"alpha": 0.5}),
    ("fairgrad", {"alpha": 1.0}),
    ("fairgrad", {"max_norm": 0.3}),
    ("gem", {"margin": 0.5}),
    ("graddrop", {"leak": 0.5}),
    ("gradvac", {"beta": 0.5}),
    ("nash_mtl", {"max_norm": 0.0}),
    ("pe_ltr", {"lower": 0.1}),
    ("primary_auxiliary", {"primary": 1}),
    ("sign_agreement", {"threshold": 0.5}),
    ("upgrad", {"reduction": "sum"}),
)


def test_every_file_is_listed():
    files = {path.stem for path in FOLDER.glob("[!_]*.py")} - {"method"}
    assert set(methods.names()) == files
    assert list(methods.names()) == sorted(files)


@pytest.mark.parametrize("name", methods.names())
def test_declarations(name):
    check_declarations(lambda: methods.get(name), name)


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("name", methods.names())
def test_contract(name, check):
    check(lambda: methods.get(name))


@pytest.mark.parametrize("check", [check_conflict, check_scaling, check_permutation], ids=lambda check: check.__name__)
@pytest.mark.parametrize(("name", "options"), VARIANTS)
def test_promises_follow_the_options(name, options, check):
    check(lambda: methods.get(name, **options))


@pytest.mark.parametrize("name", ["mgda", "unit_gradient", "moco"])
def test_a_smoothed_method_is_held_to_the_contract(name):
    for check in CHECKS:
        check(lambda: methods.get(name, smooth=0.9))


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

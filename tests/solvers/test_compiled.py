"""Sums in twice the precision, against exact rational arithmetic, compiled and as plain Python."""

from __future__ import annotations

import subprocess
import sys
from fractions import Fraction

import numpy as np

from mtlbench.solvers import compiled


def ill_conditioned(size: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    x = rng.standard_normal(size) * 10.0 ** rng.integers(-8, 8, size)
    y = rng.standard_normal(size) * 10.0 ** rng.integers(-8, 8, size)
    return np.concatenate([x, x]), np.concatenate([y, -y * (1 + 1e-14 * rng.standard_normal(size))])


def exact(x: np.ndarray, y: np.ndarray) -> Fraction:
    return sum((Fraction(a) * Fraction(b) for a, b in zip(x.tolist(), y.tolist(), strict=True)), Fraction(0))


def test_a_dot_product_has_twice_the_precision():
    for seed in range(50):
        x, y = ill_conditioned(40, seed)
        high, low = compiled.dot(x, y)
        scale = float(np.abs(x) @ np.abs(y))
        assert abs(Fraction(high) + Fraction(low) - exact(x, y)) <= 1e-29 * scale
        assert high + low == high


def test_a_residual_is_rounded_once():
    matrix = np.vstack([ill_conditioned(10, seed)[0] for seed in range(4)])
    x = ill_conditioned(10, 9)[1]
    right = np.array([float(exact(row, x)) for row in matrix])
    out = np.empty(4)
    compiled.residual(matrix, x, right, out)
    for row, b, found in zip(matrix, right, out, strict=True):
        truth = float(Fraction(b) - exact(row, x))
        assert abs(found - truth) <= 2.0**-52 * abs(truth) + 1e-29 * float(np.abs(row) @ np.abs(x))


def test_the_same_bits_without_compilation():
    code = (
        "import numpy as np; from mtlbench.solvers import compiled;"
        "x = np.linspace(-1, 1, 33) ** 3; y = np.geomspace(1e-9, 1e9, 33);"
        "print(repr(tuple(map(float, compiled.dot(x, y)))), hasattr(compiled.dot, 'py_func'))"
    )
    runs = [
        subprocess.run(
            [sys.executable, "-c", code], env={"NUMBA_DISABLE_JIT": flag}, capture_output=True, text=True, check=True
        )
        for flag in ("0", "1")
    ]
    (compiled_numbers, first), (plain_numbers, second) = (run.stdout.strip().rsplit(" ", 1) for run in runs)
    assert compiled_numbers == plain_numbers
    assert (first, second) == ("True", "False")


def test_what_compiled_code_returns_is_plain_and_copied_no_more():
    made = compiled.compiled(lambda size: np.zeros((size, size)))(3)
    assert compiled.is_plain_square(made)
    assert compiled.plain(made) is made
    for other in (made[:, ::2], made.astype(np.float32), np.asfortranarray(np.eye(3) + made), [[1.0]]):
        assert not compiled.is_plain(other)
        assert compiled.is_plain(compiled.plain(other))

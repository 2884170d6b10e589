"""What is accepted as a Gramian, in which forms, and the sentence that anything else gets."""

from __future__ import annotations

import re

import numpy as np
import pytest

from mtlbench.solvers import InvalidGramian, min_norm
from mtlbench.solvers.gramian import as_gramian, check, normalised

GOOD = np.array([[4.0, 1.0, 0.0], [1.0, 9.0, -2.0], [0.0, -2.0, 1.0]])

INDEFINITE = np.array([[1.0, 0.9, -0.9], [0.9, 1.0, 0.9], [-0.9, 0.9, 1.0]])
"""Every pair is possible, the three together are not: eigenvalue −0.8."""


@pytest.mark.parametrize(
    ("matrix", "sentence"),
    [
        (np.zeros((0, 0)), r"square matrix \(K, K\) of at least one task, got the shape \(0, 0\)"),
        (np.ones((2, 3)), r"got the shape \(2, 3\)"),
        (np.ones(4), r"got the shape \(4,\)"),
        (3.0, r"got the shape \(\)"),
        (None, "a Gramian holds real numbers, got NoneType of type object"),
        ("identity", "a Gramian holds real numbers, got str"),
        (np.eye(2) * 1j, "a Gramian holds real numbers, got ndarray of type complex128"),
        ([[1.0, 0.0], [0.0]], "rows differ in length"),
        ([[1.0, 0.0], [np.nan, 1.0]], r"entry \(1, 0\) of the Gramian is nan: every entry must be finite"),
        ([[1.0, 0.0], [0.0, np.inf]], r"entry \(1, 1\) of the Gramian is inf"),
        ([[1.0, -np.inf], [0.0, 1.0]], r"entry \(0, 1\) of the Gramian is -inf"),
        ([[1.0, 0.0], [0.0, -2.0]], r"entry \(1, 1\) of the Gramian is -2: a squared norm cannot be negative"),
        (
            [[1.0, 0.5, 0.0], [0.5, 1.0, 0.1], [0.0, 0.2, 1.0]],
            r"not symmetric: entry \(1, 2\) is 0.1 but entry \(2, 1\) is 0.2",
        ),
        ([[1.0, 2.1], [2.1, 4.0]], r"entry \(0, 1\) of the Gramian is 2.1: by Cauchy-Schwarz .* = 2 in size"),
        ([[0.0, 1e-300], [1e-300, 4.0]], r"entry \(0, 1\) of the Gramian is 1e-300: by Cauchy-Schwarz"),
    ],
)
def test_a_malformed_gramian_is_refused_by_a_sentence_that_names_the_entry(matrix, sentence):
    with pytest.raises(InvalidGramian, match=sentence):
        min_norm.solve(matrix)
    with pytest.raises(InvalidGramian, match=sentence):
        min_norm.certificate(matrix, [1.0])


def test_the_eigenvalue_test_runs_in_check_and_in_exact_but_not_at_every_step():
    sentence = re.escape("scaled to unit diagonal its smallest eigenvalue is -0.8")
    with pytest.raises(InvalidGramian, match=sentence):
        check(INDEFINITE)
    with pytest.raises(InvalidGramian, match=sentence):
        min_norm.solve(1e7 * INDEFINITE, "exact")
    assert min_norm.solve(INDEFINITE, max_iterations=50).iterations <= 50


def test_rounding_of_single_precision_is_no_error():
    rows = np.random.default_rng(0).standard_normal((12, 5)).astype(np.float32)
    gramian = rows @ rows.T
    gramian[0, 1] *= np.float32(1 + 5e-7)
    assert np.linalg.eigvalsh(gramian.astype(np.float64))[0] < 0
    symmetric = check(gramian)
    np.testing.assert_array_equal(symmetric, symmetric.T)
    assert min_norm.solve(gramian).converged


def test_a_product_may_exceed_cauchy_schwarz_by_rounding_only():
    assert min_norm.solve([[1.0, 1 + 9e-6], [1 + 9e-6, 1.0]]).converged
    with pytest.raises(InvalidGramian):
        min_norm.solve([[1.0, 1 + 2e-5], [1 + 2e-5, 1.0]])


def tensor(matrix):
    torch = pytest.importorskip("torch")
    return torch.tensor(matrix, requires_grad=True) * 1.0


def strided(matrix):
    wide = np.zeros((6, 6))
    wide[::2, ::2] = matrix
    return wide[::2, ::2]


def read_only(matrix):
    copy = matrix.copy()
    copy.setflags(write=False)
    return copy


@pytest.mark.parametrize(
    "form",
    [
        np.ndarray.tolist,
        lambda g: g.astype(np.int64),
        lambda g: g.astype(np.int8),
        lambda g: g.astype(np.float16),
        lambda g: g.astype(np.float32),
        lambda g: g.astype(np.longdouble),
        lambda g: g.astype(">f8"),
        np.asfortranarray,
        strided,
        read_only,
        lambda g: g[::-1][::-1],
        tensor,
        lambda g: tensor(g).bfloat16(),
    ],
)
@pytest.mark.parametrize("algorithm", ["active_set", "frank_wolfe", "smooth_min_entropic"])
def test_every_form_of_the_same_numbers_has_the_same_solution(form, algorithm):
    expected = min_norm.solve(GOOD, algorithm, max_iterations=20)
    solution = min_norm.solve(form(GOOD), algorithm, max_iterations=20)
    np.testing.assert_array_equal(solution.weights, expected.weights)
    assert solution.weights.dtype == np.float64
    assert solution.weights.flags.writeable


def test_the_input_is_never_written_to():
    asymmetric = GOOD.copy()
    asymmetric[0, 1] *= 1 + 1e-8
    before = asymmetric.copy()
    for algorithm in min_norm.ALGORITHMS:
        min_norm.solve(asymmetric, algorithm, max_iterations=5)
    np.testing.assert_array_equal(asymmetric, before)


@pytest.mark.parametrize("scale", [1e-300, 1e-200, 3.0, 1e200, 1e300])
def test_scaling_brings_any_gramian_near_one_without_rounding(scale):
    scaled, exponent = normalised(as_gramian(scale * GOOD))
    assert 0.1 < scaled.diagonal().max() < 100
    np.testing.assert_array_equal(np.ldexp(scaled, exponent), scale * GOOD)


def test_scaling_keeps_a_gramian_whose_own_range_is_extreme():
    diagonal = np.array([1e200, 1e-200])
    scaled, exponent = normalised(np.diag(diagonal))
    np.testing.assert_array_equal(np.ldexp(scaled.diagonal(), exponent), diagonal)

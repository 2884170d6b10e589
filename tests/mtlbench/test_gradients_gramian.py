"""The Gramian is exact to float32 products, whatever the size and the scale of the gradients."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from mtlbench.gradients import gramian
from mtlbench.gramian import _add_on_device as add_on_device


def rows(tasks: int, shapes: list[tuple[int, ...]], dtype=torch.float32, seed: int = 0):
    source = torch.Generator().manual_seed(seed)
    return tuple(
        tuple(torch.randn(shape, generator=source, dtype=torch.float64).to(dtype) for shape in shapes)
        for _ in range(tasks)
    )


def reference(left, right=None):
    flat = [np.concatenate([g.double().numpy().ravel() for g in row]) for row in left]
    other = flat if right is None else [np.concatenate([g.double().numpy().ravel() for g in row]) for row in right]
    return np.array(flat) @ np.array(other).T


def relative_error(found, left, right=None):
    d = np.sqrt(np.diagonal(reference(left)))
    e = d if right is None else np.sqrt(np.diagonal(reference(right)))
    return np.abs((found - reference(left, right)) / np.outer(d, e)).max()


def test_a_million_float32_parameters_are_accurate_to_1e_6():
    big = rows(4, [(1000, 999), (1000,)])
    # A common part makes the sums long: nothing averages the rounding out.
    big = tuple(tuple(g + 1 for g in row) for row in big)
    matrix = gramian(big)
    assert matrix.dtype == np.float64
    d = np.sqrt(np.diagonal(reference(big)))
    assert np.abs((matrix - reference(big)) / np.outer(d, d)).max() <= 1e-6


@pytest.mark.parametrize("size", [16_000, 20_000, 300_000])
def test_gradients_of_one_sign_give_a_symmetric_gramian_within_1e_6(size):
    # The worst case for float32 sums, and one where a matrix product need not be symmetric.
    left = tuple(tuple(g.abs() for g in row) for row in rows(10, [(size,)]))
    matrix = gramian(left)
    assert (matrix == matrix.T).all()
    assert relative_error(matrix, left) <= 1e-6


@pytest.mark.parametrize("size", [16_384, 70_000])
def test_gradients_of_one_size_are_as_exact_as_any(size):
    # Every addition of a float32 sum rounds the same way here: the entries would be off by 1e-5.
    left, right = (tuple((torch.full((size,), v),) for v in values) for values in ((0.7, 1.1, 0.3), (0.9, 1.3, 0.6)))
    assert relative_error(gramian(left), left) <= 1e-11
    assert relative_error(gramian(left, right), left, right) <= 1e-11


def test_the_same_gradients_give_the_same_bits_wherever_they_lie():
    left = rows(3, [(300, 300), (11,)])
    first = gramian(left)
    for _ in range(5):
        assert (gramian(tuple(tuple(g.clone() for g in row) for row in left)) == first).all()


def test_float64_gradients_are_multiplied_in_float64():
    left = rows(3, [(70_000,), (3, 5)], torch.float64)
    assert relative_error(gramian(left), left) <= 1e-14


@pytest.mark.parametrize("size", [100, 140_001])
def test_what_a_device_computes_is_the_same_to_rounding(size):
    left, right = ([row[0] for row in rows(3, [(size,)], seed=seed)] for seed in (0, 1))
    for other in (None, right):
        total = torch.zeros(3, 3, dtype=torch.float64)
        add_on_device(total, left, other)
        own, others = ([(row,) for row in side] for side in (left, other or left))
        assert relative_error(total.numpy(), own, others) <= 1e-13


def test_the_cross_gramian_of_two_batches():
    left, right = rows(3, [(40, 7), (5,)], torch.float64), rows(3, [(40, 7), (5,)], torch.float64, seed=1)
    found = gramian(left, right)
    assert relative_error(found, left, right) <= 1e-14
    assert not np.allclose(found, found.T)


@pytest.mark.parametrize("scale", [1e-30, 1e-22, 1e18, 1e30])
def test_tiny_and_huge_float32_gradients_neither_vanish_nor_overflow(scale):
    scaled = tuple(tuple(g * scale for g in row) for row in rows(3, [(500,)]))
    assert relative_error(gramian(scaled), scaled) <= 1e-6


@pytest.mark.parametrize("wrong", [np.inf, np.nan])
def test_what_is_not_finite_stays_so_and_spoils_nothing_else(wrong):
    left = rows(3, [(100,)])
    left[1][0][7] = wrong
    finite = np.isfinite(gramian(left))
    assert finite.tolist() == [[True, False, True], [False, False, False], [True, False, True]]


def test_a_zero_gradient_is_exactly_zero():
    first, second = rows(2, [(50,), (2, 2)])
    matrix = gramian((first, tuple(torch.zeros_like(g) for g in second)))
    assert matrix[0, 0] > 0
    assert matrix[1, 1] == matrix[0, 1] == matrix[1, 0] == 0


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_gradients_are_multiplied_in_float32(dtype):
    half = rows(3, [(3000,)], dtype)
    assert relative_error(gramian(half), half) <= 1e-6


def test_autocast_does_not_round_the_gramian():
    plain = rows(3, [(3000,)])
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert relative_error(gramian(plain), plain) <= 1e-6


def test_strided_and_expanded_gradients():
    base = torch.randn(4, 6, generator=torch.Generator().manual_seed(0))
    odd = ((base.T, torch.ones(()).expand(5)), (base.T * 2, torch.ones(5)))
    assert relative_error(gramian(odd), odd) <= 1e-6


@pytest.mark.parametrize("shape", [(8, 4, 3, 3), (128, 64, 3, 3)])
def test_channels_last_gradients(shape):
    plain = rows(3, [shape])
    last = tuple(tuple(g.contiguous(memory_format=torch.channels_last) for g in row) for row in plain)
    mixed = (last[0], plain[1], last[2])
    for odd in (last, mixed):
        assert relative_error(gramian(odd), plain) <= 1e-6

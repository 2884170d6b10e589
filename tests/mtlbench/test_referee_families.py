"""Every problem family is what its name says, at every size, and the same on every call."""

import numpy as np
import pytest

from mtlbench.errors import InputError
from mtlbench.referee.families import FAMILIES, draw, gaussian_rows
from mtlbench.solvers.gramian import check

SIZES = (1, 2, 3, 5, 16, 64)


def cosines(gramian):
    lengths = np.sqrt(np.diagonal(gramian))
    return gramian / np.outer(lengths, lengths)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("family", FAMILIES)
def test_every_problem_is_a_valid_gramian_and_drawn_alike_twice(family, size):
    gramian = draw(family, size, problem=2, seed=5)
    assert gramian.shape == (size, size)
    assert gramian.dtype == np.float64
    assert (gramian == gramian.T).all()
    check(gramian)
    assert (gramian == draw(family, size, problem=2, seed=5)).all()


@pytest.mark.parametrize("family", FAMILIES)
def test_seed_and_number_give_other_problems_and_leave_global_random_state_alone(family):
    np.random.seed(3)  # noqa: NPY002 - the global state is what must not be touched
    expected = np.random.RandomState(3).random_sample()
    first = draw(family, 4, problem=0, seed=0)
    assert not np.array_equal(first, draw(family, 4, problem=1, seed=0))
    assert not np.array_equal(first, draw(family, 4, problem=0, seed=1))
    assert np.random.random_sample() == expected  # noqa: NPY002


@pytest.mark.parametrize("size", SIZES)
def test_gaussian_has_twice_as_many_dimensions_as_tasks_and_full_rank(size):
    assert gaussian_rows(np.random.default_rng(0), size).shape == (size, 2 * size)
    assert np.linalg.matrix_rank(draw("gaussian", size)) == size


@pytest.mark.parametrize("size", [2, 3, 16, 64])
def test_norms_span_1_to_1e3(size):
    norms = np.sqrt(np.diagonal(draw("norms_1_to_1e3", size)))
    np.testing.assert_allclose([norms.min(), norms.max()], [1.0, 1e3], rtol=1e-12)


@pytest.mark.parametrize("size", [2, 5, 64])
def test_near_collinear_gradients_are_close_but_not_equal(size):
    for problem in range(5):
        gramian = draw("near_collinear", size, problem)
        squares = np.diagonal(gramian)
        apart = (squares[:, None] + squares - 2 * gramian)[~np.eye(size, dtype=bool)]
        np.testing.assert_allclose(np.sqrt(squares), 1.0, atol=2e-3)
        assert apart.max() <= (2e-3) ** 2
        assert apart.max() >= (5e-7) ** 2


@pytest.mark.parametrize("size", [2, 3, 8, 64])
def test_duplicated_rows_are_exact_copies(size):
    gramian = draw("duplicated_rows", size)
    distinct = np.unique(gramian, axis=0)
    assert len(distinct) == (size + 1) // 2
    assert np.linalg.matrix_rank(gramian) == len(distinct)


@pytest.mark.parametrize("size", SIZES)
def test_exactly_one_row_is_zero(size):
    gramian = draw("zero_row", size)
    zero = np.diagonal(gramian) == 0.0
    assert zero.sum() == 1
    assert not gramian[zero].any()


@pytest.mark.parametrize("size", SIZES)
def test_zero_lies_in_the_hull_with_every_weight_positive(size):
    gramian = draw("zero_in_hull", size)
    values, vectors = np.linalg.eigh(gramian)
    null = vectors[:, 0] * np.sign(vectors[0, 0])
    assert abs(values[0]) <= 1e-12 * max(values[-1], 1.0)
    assert (null > 0).all()
    if size == 2:
        np.testing.assert_allclose(cosines(gramian)[0, 1], -1.0, rtol=1e-12)


@pytest.mark.parametrize("size", [2, 3, 5, 16, 64])
def test_rank_deficient_has_fewer_dimensions_than_tasks(size):
    assert np.linalg.matrix_rank(draw("rank_deficient", size)) == max(1, size // 2)


def test_bad_requests_are_answered_in_a_sentence():
    with pytest.raises(InputError, match="unknown problem family 'gausian': did you mean 'gaussian'"):
        draw("gausian", 3)
    for size in (0, 257):
        with pytest.raises(InputError, match=f"problem size {size}: families are defined for 1 to 256"):
            draw("gaussian", size)

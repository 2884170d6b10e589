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
from mtlbench.gramian import combine

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
    [
        *(torch.ones(4, 3).T, torch.ones(3, 4).half(), torch.ones(()).expand(3, 4), torch.eye(3, 4).to_sparse()),
        *(torch._neg_view(torch.ones(3, 4)), torch._efficientzerotensor((3, 4)), torch.ones(3, 4, device="meta")),
    ],
    ids=["transposed", "half", "expanded", "sparse", "negative", "zero", "meta"],
)
def test_what_does_not_lie_in_order_is_left_to_torch(odd):
    one = torch.ones(3, 4)
    for rows in (((odd,), (odd,)), ((one,), (odd,)), ((odd,), (one,))):
        assert host.combination(rows, np.ones(2)) is None


@pytest.mark.parametrize("rows", [1, 2, 3, 5, 7])
@pytest.mark.parametrize("length", [1, 2, 31, 63, 65, 127, 129, 4095, 4096, 4097, 4160, 8193])
def test_every_product_and_sum_of_every_number_of_rows_and_length(rows, length):
    j = np.random.default_rng(rows * length).standard_normal((rows + 2, length))
    tensors = tuple((torch.from_numpy(row),) for row in j)
    np.testing.assert_allclose(gramian(tensors[:rows]), j[:rows] @ j[:rows].T, rtol=0, atol=1e-10)
    np.testing.assert_allclose(gramian(tensors[:rows], tensors), j[:rows] @ j.T, rtol=0, atol=1e-10)
    (found,) = host.combination(tensors[:rows], np.arange(rows) - 1.0)
    np.testing.assert_allclose(found.numpy(), (np.arange(rows) - 1.0) @ j[:rows], rtol=0, atol=1e-12)


@pytest.mark.parametrize(
    ("odd", "value"),
    [
        (torch._neg_view(torch.ones(3, 4)), -1.0),
        (torch.complex(torch.zeros(3, 4), torch.ones(3, 4)).conj().imag, -1.0),
        (torch._efficientzerotensor((3, 4)), 0.0),
        (torch.full((3, 4), 2.0, dtype=torch.float64), 2.0),
    ],
    ids=["negative", "conjugate", "zero", "double"],
)
def test_numbers_that_do_not_lie_as_they_are_have_the_value_that_torch_says(odd, value):
    one = torch.ones(3, 4)
    np.testing.assert_array_equal(gramian(((one,), (odd,))), 12 * np.outer([1, value], [1, value]))
    np.testing.assert_array_equal(gramian(((odd,), (one,))), 12 * np.outer([value, 1], [value, 1]))
    (total,) = combine(((one,), (odd,)), np.array([1.0, 2.0]))
    torch.testing.assert_close(total, one + 2 * value)


@pytest.mark.parametrize(
    ("odd", "message"),
    [
        (torch.ones(3, 4, device="meta"), r"a Tensor \(strided, meta\): Cannot copy out of meta tensor"),
        (torch.ones(3, 4, dtype=torch.complex64), "it is complex; it must be a dense real tensor"),
        (torch.ones(3, 4).to_mkldnn(), r"a Tensor \(_mkldnn, cpu\)"),
        (torch._to_functional_tensor(torch.ones(3, 4)), "a gradient cannot be multiplied"),
    ],
    ids=["meta", "complex", "mkldnn", "functional"],
)
def test_tensors_without_numbers_of_their_own_are_refused_not_read(odd, message):
    with pytest.raises(InputError, match=message) as caught:
        gramian(((torch.ones(3, 4),), (odd,)))
    assert "\n" not in str(caught.value)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
@pytest.mark.parametrize("devices", [("cpu", "cuda"), ("cuda", "cpu")])
def test_a_model_may_lie_on_two_devices(devices):
    rows = tuple(tuple(torch.full((3,), n, device=device) for device in devices) for n in (1.0, 2.0))
    np.testing.assert_array_equal(gramian(rows), [[6, 12], [12, 24]])
    for found, device in zip(combine(rows, np.array([1.0, 2.0])), devices, strict=True):
        assert found.device.type == device
        assert found.tolist() == [5, 5, 5]


def test_what_does_not_fit_together_is_not_combined():
    rows = gradients(3)
    with pytest.raises(InputError, match="2 weights do not fit the gradients of 3 tasks"):
        host.combination(rows, np.ones(2))
    for short in (rows[2][:-1], tuple(tensor.reshape(-1)[:-1] for tensor in rows[2])):
        with pytest.raises(InputError, match="the same size for all tasks"):
            host.combination((*rows[:2], short), np.ones(3))


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


def test_a_place_that_a_step_does_not_take_up_is_let_go(monkeypatch):
    monkeypatch.setattr(kept, "_LARGE", 0)
    method = methods.get("mgda")
    for tasks in (4, 2):
        grads(method, [0], tasks)
        assert len(kept._kept[method]) == tasks
    monkeypatch.setattr(kept, "_LARGE", 1 << 20)
    grads(method, [0])
    assert not kept._kept[method]

"""backward leaves in .grad what the formulas say, for the shared parameters and for every head."""

from __future__ import annotations

from copy import deepcopy
from itertools import combinations

import numpy as np
import pytest
import torch
from torch import nn

import mtlbench
from mtlbench import methods
from mtlbench.errors import InputError
from mtlbench.gradients import NonFiniteLoss, shared_parameters, step
from mtlbench.methods import GramianMethod, LossMethod, Promises


class Model(nn.Module):
    """A trunk, one head per task, and losses of very different scales, in float64."""

    def __init__(self, tasks: int = 3, seed: int = 0):
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            self.trunk = nn.Sequential(nn.Linear(4, 6), nn.Tanh(), nn.Linear(6, 5)).double()
            self.heads = nn.ModuleList(nn.Linear(5, 2) for _ in range(tasks)).double()
            self.x = torch.randn(7, 4, dtype=torch.float64)
            self.y = torch.randn(tasks, 7, 2, dtype=torch.float64)

    def losses(self):
        h = self.trunk(self.x).tanh()
        pairs = zip(self.heads, self.y, strict=True)
        losses = [10.0**task * (head(h) - y).square().mean() for task, (head, y) in enumerate(pairs)]
        return losses, h

    def by_hand(self):
        """Gradients of every task by plain backward passes: (K, P) of the trunk, one list per head, (K, H) of h."""
        trunk, heads, activations, values = [], [], [], []
        for task in range(len(self.heads)):
            model = deepcopy(self)
            model.zero_grad()
            losses, h = model.losses()
            h.retain_grad()
            losses[task].backward()
            values.append(losses[task].item())
            trunk.append(torch.cat([p.grad.ravel() for p in model.trunk.parameters()]).numpy())
            activations.append(h.grad.ravel().numpy())
            heads.append([p.grad for p in model.heads[task].parameters()])
        return np.array(trunk), heads, np.array(activations), np.array(values)


def trunk_grad(model):
    return torch.cat([p.grad.ravel() for p in model.trunk.parameters()]).numpy()


def min_norm_by_enumeration(matrix):
    """The min-norm weights: the best KKT point among all supports."""
    tasks, best = len(matrix), (np.inf, None)
    for size in range(1, tasks + 1):
        for support in map(list, combinations(range(tasks), size)):
            inverse = np.linalg.lstsq(matrix[np.ix_(support, support)], np.ones(size), rcond=None)[0]
            w = np.zeros(tasks)
            w[support] = inverse / inverse.sum()
            if (w >= 0).all():
                best = min(best, (w @ matrix @ w, tuple(w)))
    return np.array(best[1])


BY_HAND = {
    "equal": lambda trunk, z: np.full(len(trunk), 1 / len(trunk)),
    "static": lambda trunk, z: np.full(len(trunk), 1 / len(trunk)),
    "unit_gradient": lambda trunk, z: 1 / np.linalg.norm(trunk, axis=1),
    "mgda": lambda trunk, z: min_norm_by_enumeration(trunk @ trunk.T),
    "mgda_ub": lambda trunk, z: min_norm_by_enumeration(z @ z.T),
}


ONE_BATCH = [name for name in methods.names() if methods.get(name).batches == 1]


@pytest.mark.parametrize("tasks", [1, 2, 3])
@pytest.mark.parametrize("stacked", [False, True])
@pytest.mark.parametrize("name", [name for name in ONE_BATCH if methods.get(name).needs != "jacobian"])
def test_grad_equals_the_combination_by_hand(name, stacked, tasks):
    model, method = Model(tasks), methods.get(name)
    trunk, heads, z, values = model.by_hand()
    losses, h = model.losses()
    weights = mtlbench.backward(torch.stack(losses) if stacked else losses, method, representation=h)
    # With one loss every parameter is shared, and there is no head of its own.
    alone = tasks == 1 and method.level == "shared"
    shared = np.hstack([trunk, [np.concatenate([g.numpy().ravel() for g in heads[0]])]]) if alone else trunk
    fresh = methods.get(name)
    rows = fresh.rows(tuple((torch.tensor(row),) for row in shared), torch.tensor(values))
    rows = np.array([row[0].numpy() for row in rows])
    matrix = z @ z.T if method.level == "representation" else rows @ rows.T
    by_hand = BY_HAND.get(name, lambda rows, z: fresh.weights(gramian=matrix, losses=values))
    expected = by_hand(shared, z)
    assert isinstance(weights, np.ndarray)
    assert weights.dtype == np.float64
    np.testing.assert_allclose(weights, expected, rtol=1e-9, atol=1e-12)
    update = rows.T @ expected
    np.testing.assert_allclose(trunk_grad(model), update[: trunk.shape[1]], rtol=1e-9, atol=1e-12)
    if alone:
        found = torch.cat([p.grad.ravel() for p in model.heads[0].parameters()]).numpy()
        np.testing.assert_allclose(found, update[trunk.shape[1] :], rtol=1e-9, atol=1e-12)
        return
    for head, gradients, weight in zip(model.heads, heads, expected, strict=True):
        factor = weight if method.head_weights == "same" else 1.0
        for parameter, gradient in zip(head.parameters(), gradients, strict=True):
            torch.testing.assert_close(parameter.grad, factor * gradient, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("tasks", [1, 2, 3])
@pytest.mark.parametrize("name", [name for name in ONE_BATCH if methods.get(name).needs == "jacobian"])
def test_grad_combines_the_rows_that_the_method_made_of_the_gradients(name, tasks, monkeypatch):
    model, method = Model(tasks), methods.get(name)
    losses, h = model.losses()
    shared, made_of = shared_parameters(losses), method.rows
    plain = [torch.autograd.grad(loss, shared, retain_graph=True) for loss in losses]
    seen = []
    monkeypatch.setattr(method, "rows", lambda *given: seen.append((given[0], made_of(*given))) or seen[-1][1])
    weights = mtlbench.backward(losses, method, representation=h)
    ((given, rows),) = seen
    torch.testing.assert_close(given, tuple(plain))
    flat = np.array([torch.cat([g.ravel() for g in row]).numpy() for row in rows])
    found = torch.cat([parameter.grad.ravel() for parameter in shared]).numpy()
    np.testing.assert_allclose(found, flat.T @ weights, rtol=1e-9, atol=1e-12)
    if tasks > 1:
        for head, loss in zip(model.heads, model.losses()[0], strict=True):
            torch.testing.assert_close(head.bias.grad, torch.autograd.grad(loss, head.bias)[0])


@pytest.mark.parametrize("name", ["equal", "unit_gradient", "mgda", "mgda_ub"])
@pytest.mark.parametrize("head_weights", ["none", "same"])
def test_head_weights_overrides_what_heads_receive(name, head_weights):
    model, method = Model(), methods.get(name, head_weights=head_weights)
    trunk, heads, z, _ = model.by_hand()
    losses, h = model.losses()
    weights = mtlbench.backward(losses, method, representation=h)
    np.testing.assert_allclose(weights, BY_HAND[name](trunk, z), rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(trunk_grad(model), trunk.T @ weights, rtol=1e-9, atol=1e-12)
    for head, gradients, weight in zip(model.heads, heads, weights, strict=True):
        for parameter, gradient in zip(head.parameters(), gradients, strict=True):
            factor = weight if head_weights == "same" else 1.0
            torch.testing.assert_close(parameter.grad, factor * gradient, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("name", methods.names())
def test_backward_adds_to_grad(name):
    model, method = Model(), methods.get(name)

    def once():
        losses, h = model.losses()
        batches = [losses] * method.batches
        mtlbench.backward(losses if method.batches == 1 else batches, methods.get(name), representation=h)

    once()
    first = [p.grad.clone() for p in model.parameters()]
    holders = [p.grad for p in model.parameters()]
    once()
    for parameter, gradient, holder in zip(model.parameters(), first, holders, strict=True):
        torch.testing.assert_close(parameter.grad, 2 * gradient)
        assert parameter.grad is holder, "the gradient is added in place"


@pytest.mark.parametrize("name", ["unit_gradient", "mgda"])
def test_declared_shared_parameters(name):
    model = Model()
    trunk, heads, _, _ = model.by_hand()
    last = list(model.trunk[2].parameters())
    cut = sum(p.numel() for p in model.trunk[0].parameters())
    weights = mtlbench.backward(model.losses()[0], methods.get(name), shared=iter(last))
    rows = trunk[:, cut:]
    np.testing.assert_allclose(weights, BY_HAND[name](rows, None), rtol=1e-9, atol=1e-12)
    # What is reached by all and declared by nobody receives the plain sum.
    expected = np.concatenate([trunk[:, :cut].sum(0), rows.T @ weights])
    np.testing.assert_allclose(trunk_grad(model), expected, rtol=1e-9, atol=1e-12)
    torch.testing.assert_close(model.heads[1].bias.grad, heads[1][1])


def test_shared_answers_a_model_compiled_as_a_whole():
    model = Model(2)
    trunk, heads, _, _ = model.by_hand()
    whole = torch.compile(lambda: model.losses()[0], backend="aot_eager")
    weights = mtlbench.backward(whole(), methods.get("mgda"), shared=model.trunk.parameters())
    np.testing.assert_allclose(trunk_grad(model), trunk.T @ weights, rtol=1e-9)
    torch.testing.assert_close(model.heads[0].weight.grad, heads[0][0])


def test_the_bound_of_the_shared_encoder_can_conflict_where_mgda_does_not():
    # g_1 = (-1, 1), g_2 = (3, -1): the bound's weights are (1/2, 1/2), its u = (1, 0) ascends for task 1.
    jacobian = torch.tensor([[1.0, 0.0], [-2.0, 1.0]], dtype=torch.float64)
    z = torch.tensor([[1.0, 1.0], [1.0, -1.0]], dtype=torch.float64)
    expected = {"mgda_ub": ([0.5, 0.5], [1.0, 0.0], -1.0), "mgda": ([0.7, 0.3], [0.2, 0.4], 0.2)}
    for name, (weights, direction, product) in expected.items():
        theta = torch.zeros(2, dtype=torch.float64, requires_grad=True)
        h = jacobian @ theta
        used = mtlbench.backward([z[0] @ h, z[1] @ h], methods.get(name), shared=[theta], representation=h)
        np.testing.assert_allclose(used, weights, rtol=1e-12)
        np.testing.assert_allclose(theta.grad.numpy(), direction, rtol=1e-12, atol=1e-15)
        assert float((z @ jacobian @ theta.grad)[0]) == pytest.approx(product)


def test_representations_of_tasks_with_their_own_inputs():
    model = Model(2)
    inputs = [model.x, model.x.flip(1)]
    hs = [model.trunk(x) for x in inputs]
    losses = [(head(h) - y).square().mean() for head, h, y in zip(model.heads, hs, model.y, strict=True)]
    z = [torch.autograd.grad(loss, h, retain_graph=True)[0] for loss, h in zip(losses, hs, strict=True)]
    g = [torch.autograd.grad(loss, list(model.trunk.parameters()), retain_graph=True) for loss in losses]
    weights = mtlbench.backward(losses, methods.get("mgda_ub"), representation=hs)
    # Rows of disjoint samples are orthogonal: the weights are inverse squared norms.
    inverse = np.array([1 / float(row.square().sum()) for row in z])
    np.testing.assert_allclose(weights, inverse / inverse.sum(), rtol=1e-9)
    for parameter, one, two in zip(model.trunk.parameters(), *g, strict=True):
        torch.testing.assert_close(parameter.grad, weights[0] * one + weights[1] * two)


def test_shared_layers_above_the_representation_take_part():
    model = Model(2)
    middle = nn.Linear(5, 5).double()
    h = model.trunk(model.x)
    losses = [head(middle(h)).square().mean() for head in model.heads]
    g = [torch.autograd.grad(loss, list(middle.parameters()), retain_graph=True) for loss in losses]
    weights = mtlbench.backward(losses, methods.get("mgda_ub"), representation=h)
    for parameter, one, two in zip(middle.parameters(), *g, strict=True):
        torch.testing.assert_close(parameter.grad, weights[0] * one + weights[1] * two)


def test_a_task_without_a_gradient_is_dropped_and_counted():
    for name in ("mgda", "unit_gradient", "mgda_ub"):
        model, method = Model(), methods.get(name)
        losses, h = model.losses()
        weights = mtlbench.backward([losses[0], losses[1] * 0, losses[2]], method, representation=h)
        assert weights[1] == 0
        assert weights[0] > 0
        assert method.zero_task_events == 1
        assert not torch.count_nonzero(model.heads[1].weight.grad)
        assert torch.count_nonzero(model.trunk[0].weight.grad)


@pytest.mark.parametrize("name", methods.names())
@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_broken_loss_is_named_and_nothing_is_added(name, value):
    model, method = Model(), methods.get(name)
    for parameter in model.parameters():
        parameter.grad = torch.ones_like(parameter)
    before = method.state_dict()
    losses, h = model.losses()
    losses[1] = losses[1] * value
    handed = losses if method.batches == 1 else [losses] * method.batches
    with pytest.raises(NonFiniteLoss, match=r"the loss of task 1 \(right\) is not finite") as caught:
        mtlbench.backward(handed, method, representation=h, names=["left", "right", "both"])
    assert caught.value.tasks == (1,)
    assert all(torch.equal(p.grad, torch.ones_like(p)) for p in model.parameters())
    assert repr(method.state_dict()) == repr(before)


def test_a_broken_gradient_of_a_finite_loss_is_named():
    theta = torch.zeros(2, requires_grad=True)
    with pytest.raises(NonFiniteLoss, match="the gradient of task 0 is not finite"):
        mtlbench.backward([theta.sum().sqrt(), theta.sum()], methods.get("mgda"))
    assert theta.grad is None


def test_one_tensor_handed_out_for_two_parameters_is_combined_once_each():
    a, b = (torch.ones(3, dtype=torch.float64, requires_grad=True) for _ in range(2))
    losses = [(a + b).sum(), 2 * (a + b).sum()]
    weights = mtlbench.backward(losses, methods.get("unit_gradient"))
    torch.testing.assert_close(a.grad, torch.full_like(a, weights @ [1.0, 2.0]))
    torch.testing.assert_close(b.grad, a.grad)


def test_the_record_holds_what_an_audit_needs():
    model = Model()
    trunk, _, z, values = model.by_hand()
    losses, h = model.losses()
    record = step(losses, methods.get("mgda"))
    np.testing.assert_allclose(record.gramian, trunk @ trunk.T, rtol=1e-9)
    np.testing.assert_allclose(record.losses, values)
    losses, h = model.losses()
    np.testing.assert_allclose(step(losses, methods.get("mgda_ub"), representation=h).gramian, z @ z.T, rtol=1e-9)
    assert step(model.losses()[0], methods.get("equal")).gramian is None


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda m: mtlbench.backward(m.losses()[0], methods.get("mgda_ub")), "mgda_ub acts at the encoder's output"),
        (
            lambda m: mtlbench.backward(m.losses()[0], methods.get("mgda_ub"), representation=m.x),
            "tensors that require a gradient",
        ),
        (
            lambda m: mtlbench.backward(m.losses()[0], methods.get("mgda_ub"), representation=m.trunk[0](m.x)),
            "also reached around it",
        ),
        (
            lambda m: mtlbench.backward(m.losses()[0], methods.get("mgda"), shared=[m.losses()[1]]),
            "pass an activation as representation=",
        ),
        (
            lambda m: mtlbench.backward(m.losses()[0], methods.get("mgda"), shared=nn.Linear(2, 2).parameters()),
            "none in shared= is reached",
        ),
        (
            lambda m: mtlbench.backward(
                [nn.functional.embedding(torch.tensor([i]), m.trunk[0].weight, sparse=True).sum() for i in (0, 1)],
                methods.get("mgda"),
            ),
            "sparse=False",
        ),
        (
            lambda m: mtlbench.backward([head.weight.sum() for head in m.heads], methods.get("mgda")),
            "none is reached by two or more losses",
        ),
        (
            lambda m: mtlbench.backward(m.losses()[0], methods.get("static", weights=[1, 2])),
            "2 given for 3 tasks",
        ),
    ],
)
def test_wrong_use_is_one_sentence_and_touches_nothing(call, sentence):
    model = Model()
    with pytest.raises(InputError, match=sentence):
        call(model)
    assert all(p.grad is None for p in model.parameters())


PROMISES = Promises(non_conflicting=False, common_scale=None, task_scale="none", permutation=True, unique="weights")


class Signs(GramianMethod):
    """A method that changes the rows: their signs, with a buffer that counts the steps."""

    name, summary, source, promises = "signs", "signs of the gradients", "none", PROMISES
    needs, state = "jacobian", ("steps",)

    def __init__(self):
        super().__init__()
        self.steps = 0

    def rows(self, jacobian, losses):
        self.steps += 1
        return tuple(tuple(g.sign() * loss for g in row) for row, loss in zip(jacobian, losses, strict=True))

    def gramian_weights(self, gramian, losses):
        self.seen = gramian
        return np.arange(1.0, len(gramian) + 1)


def test_a_method_may_change_the_rows():
    model, method = Model(), Signs()
    trunk, heads, _, values = model.by_hand()
    mtlbench.backward(model.losses()[0], method)
    rows = np.sign(trunk) * values[:, None]
    np.testing.assert_allclose(method.seen, rows @ rows.T, rtol=1e-9)
    np.testing.assert_allclose(trunk_grad(model), rows.T @ [1, 2, 3], rtol=1e-9)
    torch.testing.assert_close(model.heads[2].bias.grad, heads[2][1])
    with pytest.raises(NonFiniteLoss):
        mtlbench.backward([loss * torch.nan for loss in model.losses()[0]], method)
    assert method.steps == 1, "a broken step does not reach the buffers"


class TwoBatches(GramianMethod):
    name, summary, source, promises, batches = "two", "two batches", "none", PROMISES, 2

    def gramian_weights(self, gramian, losses):
        self.seen = gramian
        return np.arange(1.0, len(gramian) + 1)


def test_independent_batches_give_the_cross_gramian_and_the_last_one_the_direction():
    model, method = Model(), TwoBatches()
    first = model.by_hand()[0]
    batches = [model.losses()[0]]
    model.x = model.x.flip(0)
    second = model.by_hand()[0]
    batches.append(model.losses()[0])
    mtlbench.backward(batches, method)
    np.testing.assert_allclose(method.seen, first @ second.T, rtol=1e-9)
    np.testing.assert_allclose(trunk_grad(model), second.T @ [1, 2, 3], rtol=1e-9)
    with pytest.raises(InputError, match="needs the losses of 2 batches"):
        mtlbench.backward([model.losses()[0]], method)


class LossShare(LossMethod):
    name, summary, source, promises = "share", "share", "none", PROMISES

    def loss_weights(self, losses):
        return losses / losses.sum()


def test_a_loss_method_sees_the_values():
    model = Model()
    trunk, _, _, values = model.by_hand()
    weights = mtlbench.backward(model.losses()[0], LossShare())
    np.testing.assert_allclose(weights, values / values.sum())
    np.testing.assert_allclose(trunk_grad(model), trunk.T @ weights, rtol=1e-9)

"""The story in pictures: every panel shows what its caption says, and the files repeat to the byte."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mtlbench.report import story
from mtlbench.report.style import canvas


def drawn(draw: Callable[[Axes], None]) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """The labelled lines of a panel: x and y."""
    with canvas():
        ax = Figure().subplots()
        draw(ax)
        return {str(line.get_label()): np.asarray(line.get_data(), dtype=float) for line in ax.get_lines()}


def test_the_charged_product_has_its_maximum_where_the_free_one_equals_twice_the_charge() -> None:
    lines = drawn(story.length)
    (lengths, free), (_, charged) = lines["worst product"], lines["less ½‖u‖²"]
    assert (np.diff(free) > 0).all()
    # min <g_i, u*> = ‖u*‖²: at that length the free product is the length squared.
    best = lengths[charged.argmax()]
    assert 0 < charged.argmax() < len(lengths) - 1
    assert free[charged.argmax()] == pytest.approx(best**2, rel=0.06)


def test_only_the_mean_converges_and_averaging_is_the_open_loop() -> None:
    gaps = drawn(story.oscillation)
    assert gaps["u ← g_τ"][1][100:].min() > 1
    assert gaps["mean of the g_τ"][1][-1] < 0.05
    errors = drawn(story.averaging)
    steps, marked = errors["step 1/(k+1)"]
    np.testing.assert_allclose(marked, errors["averaging"][1][steps.astype(int) - 1], rtol=1e-9)
    assert (np.diff(errors["line search"][1]) <= 1e-12).all()


def test_the_bias_keeps_its_bound_and_the_products_come_together_as_fast_as_one_over_lambda() -> None:
    lines = drawn(story.smoothing)
    assert (lines["f(w_λ) − f*"][1] <= lines["bound log K / λ"][1]).all()
    assert (lines["spread of the products"][1] < 3 * lines["1 / λ"][1])[1:].all()


def test_every_rate_of_softmax_beta_has_the_tail() -> None:
    lines = drawn(story.tail)
    rates = [label for label in lines if label.startswith("β")]
    assert len(rates) == 4
    for label in rates:
        steps, weights = lines[label]
        late = steps > 300
        assert np.polyfit(np.log(steps[late]), np.log(weights[late]), 1)[0] == pytest.approx(-1, abs=0.15)
    assert lines["exponentiated"][1][-1] < 1e-60


def test_signs_change_only_where_the_axes_say_so() -> None:
    lines = drawn(story.angle)
    (changed,) = (points for label, points in lines.items() if label.startswith("sign changed"))
    assert (changed[0] * changed[1] < 0).all()
    assert 20 < changed.shape[1] < 300
    assert lines["x = (1, −2), y = (1, 1)"].tolist() == [[-1], [1]]


def test_mgda_ub_is_right_for_an_orthogonal_encoder_and_wrong_more_often_the_worse_its_condition() -> None:
    for label, (condition, share) in drawn(story.worse).items():
        if label.endswith("tasks"):
            assert (condition[0], share[0]) == (1, 0)
            assert share[-1] > 0.15
            assert np.diff(share).min() > -0.05
    lines = drawn(story.stationarity)
    for _, length in (lines["MGDA-UB"], lines["min-norm"]):
        # Straight in the logarithms: both vanish in proportion to the distance.
        assert length[0] / length[4] == pytest.approx(lines["min-norm"][0][0] / lines["min-norm"][0][4], rel=0.1)
    assert (lines["min-norm"][1] <= lines["MGDA-UB"][1] * (1 + 1e-9)).all()


def test_measured_directions_follow_wendel() -> None:
    for label, (ratio, share) in drawn(story.existence).items():
        if label.startswith("d = "):
            dimension = int(label.removeprefix("d = "))
            for x, y in zip(ratio, share, strict=True):
                exact = story.wendel(round(x * dimension), dimension)
                assert abs(y - exact) <= 4.5 * np.sqrt(exact * (1 - exact) / 100) + 1e-9


def test_recorded_gramians_are_placed_by_their_rank_and_a_zero_gradient_is_left_out() -> None:
    full, opposed = np.eye(3), np.array([[1.0, -1.0], [-1.0, 1.0]])
    with_zero = np.diag([1.0, 0.0])
    (points,) = drawn(lambda ax: story.trained(ax, [full, 4 * full, opposed, with_zero])).values()
    assert points.T.tolist() == [[1, 1], [2, 0]]
    assert drawn(lambda ax: story.trained(ax, [with_zero])) == {}


def test_every_panel_has_its_number_and_a_caption_of_one_sentence() -> None:
    with canvas():
        axes = story.draw().get_axes()
    for number, (ax, panel) in enumerate(zip(axes, story.PANELS, strict=True), start=1):
        assert ax.get_title(loc="left") == f"{number}  {panel.title}"
        assert panel.caption.endswith(".")
        assert ". " not in panel.caption

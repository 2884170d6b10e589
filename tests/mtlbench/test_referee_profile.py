"""Performance profiles and shifted geometric means are their formulas; plots tell many solvers apart."""

import json
import math

import numpy as np
import pandas as pd
import pytest

from mtlbench.errors import InputError
from mtlbench.referee import plots, profile, speed

NAN = float("nan")
COSTS = pd.DataFrame({"a": [1.0, 2.0, NAN, NAN], "b": [2.0, 1.0, 3.0, NAN], "c": [10.0, NAN, NAN, NAN]})


def test_a_profile_is_the_share_of_all_problems_solved_within_each_ratio():
    for solver, ratios, shares in (
        ("a", [1, 2], [0.25, 0.5]),
        ("b", [1, 1, 2], [0.25, 0.5, 0.75]),
        ("c", [10], [0.25]),
    ):
        found = profile.curve(COSTS, solver)
        np.testing.assert_allclose(found[0], ratios)
        np.testing.assert_allclose(found[1], shares)


def test_the_shifted_geometric_mean_charges_what_is_unsolved_and_leaves_out_what_nobody_solved():
    found = profile.shifted_mean(COSTS, 5.0)
    expected = {"a": (1, 2, 30), "b": (2, 1, 3), "c": (10, 20, 30)}
    for solver, costs in expected.items():
        mean = math.prod(cost + 5 for cost in costs) ** (1 / 3) - 5
        assert found[solver] == pytest.approx(mean, rel=1e-12)


def test_means_of_a_validation_compare_iterations_among_those_who_count_them():
    rows = [
        # solver, problem, gap, seconds, iterations to 1e-2, 1e-4, 1e-8
        ("quick", 0, 0.0, 10e-6, 1, 1, 1),
        ("quick", 1, 1e-12, 20e-6, 2, 2, 2),
        ("slow", 0, 1e-5, 30e-6, 4, 90, NAN),
        ("slow", 1, 1e-10, 40e-6, 8, 80, 100),
        ("package", 0, 0.0, 5e-6, NAN, NAN, NAN),
        ("package", 1, NAN, NAN, NAN, NAN, NAN),
    ]
    columns = ["solver", "problem", "gap", "seconds", "to_1e-2", "to_1e-4", "to_1e-8"]
    found = pd.DataFrame(rows, columns=columns).assign(family="gaussian", size=3)
    table = profile.means(found)
    assert list(table.index) == ["quick", "slow", "package"]
    assert table["solved_1e-9"].tolist() == [1.0, 0.5, 0.5]
    # slow has not solved problem 0: ten times the larger of 10 and 5 µs; package not problem 1: ten times 40 µs.
    times = [math.sqrt(20 * 30) - 10, math.sqrt(110 * 50) - 10, math.sqrt(15 * 410) - 10]
    np.testing.assert_allclose(table["time_us"], times, rtol=1e-12)
    np.testing.assert_allclose(table["iterations_to_1e-2"], [math.sqrt(11 * 12) - 10, math.sqrt(14 * 18) - 10, NAN])
    np.testing.assert_allclose(table["iterations_to_1e-8"], [math.sqrt(11 * 12) - 10, math.sqrt(20 * 110) - 10, NAN])
    text = profile.text(found)
    assert "shifts 10 µs and 10 iterations" in text
    assert "nan" not in text


def saved(path, *entries):
    benchmarks = [
        {
            "extra_info": {"room": "min_norm", "package": package, "family": family, "size": 8, "solved": solved},
            "stats": {"median": 1e-6 * median},
        }
        for package, family, median, solved in entries
    ]
    path.write_text(json.dumps({"benchmarks": benchmarks}))
    return path


def test_the_speed_command_prints_ratios_and_means_and_draws_the_profile(tmp_path, capsys):
    path = saved(
        tmp_path / "peers.json",
        ("ours", "gaussian", 10.0, True),
        ("daqp", "gaussian", 5.0, True),
        ("ours", "near_collinear", 10.0, True),
        ("daqp", "near_collinear", 5.0, False),
    )
    speed.main(path)
    printed = capsys.readouterr().out
    assert "| gaussian       |   0.50 |" in printed
    assert "shift 10 µs" in printed
    assert f"| ours     |    1.000 | {10.0:9.1f} |" in printed
    assert f"| daqp     |    0.500 | {math.sqrt(15 * 110) - 10:9.1f} |" in printed
    first = {kind: (tmp_path / f"profile.{kind}").read_bytes() for kind in ("svg", "png")}
    speed.main(path)
    assert first == {kind: (tmp_path / f"profile.{kind}").read_bytes() for kind in ("svg", "png")}


def test_a_timing_csv_is_read_like_a_peer_suite(tmp_path):
    path = tmp_path / "timing.csv"
    head = "algorithm,family,size,median_us,iqr_us,rounds,relative_gap\n"
    path.write_text(head + "exact,gaussian,2,1500,20,5,1e-13\nsmooth_min,gaussian,2,300,20,5,0.01\n")
    printed = speed.markdown(path)
    assert "/ ours" not in printed
    assert f"| exact      |    1.000 | {1500:9.1f} |" in printed
    assert f"| smooth_min |    0.000 | {15000:9.1f} |" in printed
    path.write_text("a,b\n1,2\n")
    with pytest.raises(InputError, match=r"is not a saved run of a peer suite, nor a timing\.csv"):
        speed.times(path)


def test_a_profile_is_drawn_as_its_curves_say():
    panel = profile.figure({"min_norm": COSTS}).axes[0]
    assert panel.get_xscale() == "log"
    for line, solver in zip(panel.lines, COSTS, strict=True):
        ratios, shares = profile.curve(COSTS, solver)
        for tau in (1.0, 1.5, 2.0, 11.0):
            expected = shares[ratios <= tau].max(initial=0.0)
            assert line.get_ydata()[line.get_xdata() <= tau][-1] == expected


def test_27_solvers_look_different_and_their_legend_fits_the_figure():
    names = [f"an_algorithm_called_{i}" for i in range(27)]
    looks = plots.looks(names)
    assert len({tuple(look.values()) for look in looks.values()}) == 27
    assert all(look["linestyle"] != "--" for look in looks.values())  # that is a bound
    costs = pd.DataFrame({name: [1.0 + i] for i, name in enumerate(names)})
    drawing = profile.figure({"min_norm": costs})
    drawing.draw_without_rendering()
    box = drawing.legends[0].get_window_extent()
    assert box.x0 >= 0
    assert box.x1 <= drawing.bbox.x1
    assert box.y0 >= drawing.axes[0].title.get_window_extent().y1

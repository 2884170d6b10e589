"""The report of a benchmark: plots, ``report.html``, ``manifest.json``, in this order."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from mtlbench.analysis import load
from mtlbench.analysis.leaderboard import is_ranked, metrics
from mtlbench.publication import constraints, manifest
from mtlbench.referee import plots as referee_plots
from mtlbench.referee import profile, speed
from mtlbench.referee.problems import recorded_gramians
from mtlbench.report import atlas, comparison, html, parallel, plots, story, study, toy, trials
from mtlbench.report.leaderboard import computed
from mtlbench.report.parallel import Job
from mtlbench.report.style import canvas

RECORDED = 200
"""At most so many Gramians of training runs are shown beside random ones."""


def write(results: Path) -> list[Path]:
    """Draw the plots, write the page and the manifest of ``results``, and return the last two paths.

    The page holds every picture that lies in ``plots/``, which is emptied first: a picture of what is no longer there
    would stand in it. Raises :class:`~mtlbench.errors.InputError` naming the file when something in the
    results is cut or is not what it should be.
    """
    records = load.read(results)
    table, board, curves, _ = computed(results, records, all_metrics=True)
    folder = results / "plots"
    recorded = [gramian for gramian, _ in recorded_gramians(results / "runs", RECORDED)]
    shutil.rmtree(folder, ignore_errors=True)
    # The longest first, so that no core is left alone with one of them at the end.
    pictures = [*_convergence(results / "solvers", folder), toy.picture(results), story.picture(folder, recorded)]
    pictures += plots.pictures(folder, board, metrics(table), curves, load.audits(records))
    pictures += trials.pictures(folder, load.trials(results), board)
    if is_ranked(board):
        pictures.append(partial(comparison.write, folder, table))
    parallel.run([*pictures, *study.write(results, records), atlas.picture(folder)])
    page = html.write(results, records, table, board, curves)
    if not (results / constraints.NAME).exists():
        constraints.write(results)
    return [page, manifest.write(results)]


def _convergence(solvers: Path, folder: Path) -> Iterator[Job]:
    """The referee's plots in the report's colours, where the solvers were validated, and where they were timed."""
    if (solvers / "traces.csv").exists():
        yield partial(_in_our_colours, referee_plots.write, solvers, folder)
    if (solvers / "timing.csv").exists():
        yield partial(_in_our_colours, profile.write, speed.costs(speed.times(solvers / "timing.csv")), folder)


def _in_our_colours(write: Callable[..., object], *given: Any) -> None:
    with canvas(mathematics=True):
        write(*given)

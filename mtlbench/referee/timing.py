"""``timing.csv``: how long one solve takes, read from the JSON that pytest-benchmark saves."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from mtlbench.errors import InputError

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = ("algorithm", "family", "size", "median_us", "iqr_us", "rounds", "relative_gap")


def table(benchmark_json: Path) -> pd.DataFrame:
    """One row per timed (algorithm, family, size K): median and interquartile range in microseconds per
    solve.

    ``rounds`` is the number of timed rounds, ``relative_gap`` the certified gap over min_i G_ii of what was
    timed. Raises :class:`~mtlbench.errors.InputError` for a file that pytest-benchmark did not write for this
    suite.
    """
    import pandas as pd

    try:
        content = json.loads(benchmark_json.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(f"the timing file {benchmark_json} does not exist: run the benchmark suite first") from None
    except (OSError, ValueError) as error:
        raise InputError(f"{benchmark_json} cannot be read as JSON: {error}") from None
    try:
        rows = [
            (
                *(entry["extra_info"][key] for key in COLUMNS[:3]),
                *(1e6 * entry["stats"][key] for key in ("median", "iqr")),
                entry["stats"]["rounds"],
                entry["extra_info"]["relative_gap"],
            )
            for entry in content["benchmarks"]
            if "algorithm" in entry["extra_info"]  # the suite also times what is no solver
        ]
    except (KeyError, TypeError) as error:
        message = f"{benchmark_json} is not a saved run of the project's benchmark suite: {error} is missing"
        raise InputError(message) from None
    if not rows:
        raise InputError(f"{benchmark_json} holds no timed solver: run tests/benchmarks with --benchmark-enable")
    return pd.DataFrame(rows, columns=list(COLUMNS)).round({"median_us": 2, "iqr_us": 2})

"""What may be said of a method against equal weighting, one word a row."""

from __future__ import annotations

from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

Verdict = Literal["better", "worse", "same", "broken", ""]


def verdicts(gap: ArrayLike, half_width: ArrayLike, broken: ArrayLike) -> pd.Series:
    """``better`` or ``worse`` where the interval of Delta-m − equal excludes 0, ``same`` where it holds 0.

    ``broken`` where a run of the method diverged or failed, whatever the survivors did: their mean flatters it, so it
    supports no claim. Empty where there is no interval: one seed, or no equal weighting.
    """
    mean, half, failed = np.asarray(gap, float), np.asarray(half_width, float), np.asarray(broken, bool)
    cases = [failed, np.isnan(half), np.abs(mean) <= half, mean < 0]
    return pd.Series(np.select(cases, ["broken", "", "same", "better"], "worse"), dtype=object)

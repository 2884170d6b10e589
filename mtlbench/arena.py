"""An arena: one leaderboard of its own, in which methods meet under equal terms and are ranked against each other."""

from __future__ import annotations

import re
from collections.abc import Hashable, Iterable
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import pandas as pd

GROUP = ["dataset", "architecture", "track", "setting"]

OUT_OF_THE_BOX = "out_of_the_box"
TUNED = "tuned"
TRACKS = (OUT_OF_THE_BOX, TUNED)


class Arena(NamedTuple):
    """What the rows of one table share.

    ``track``: ``out_of_the_box`` (the papers' defaults, one common learning rate) or ``tuned`` (the same number of
    trials for every row). ``setting``: the optimizer and weight decay, where the benchmark compares several, else "".
    """

    dataset: str
    architecture: str
    track: str = OUT_OF_THE_BOX
    setting: str = ""

    @classmethod
    def of(cls, key: Hashable) -> Arena:
        """The arena of a key of ``groupby(GROUP)``."""
        assert isinstance(key, tuple)
        return cls(*map(str, key))

    @property
    def title(self) -> str:
        """What a reader sees; what goes without saying is left out."""
        return ", ".join((self.dataset, *self._said(shared=self.architecture == "hard_sharing")))

    @property
    def slug(self) -> str:
        """The title as a part of a file name or an anchor, the architecture always in it."""
        return slug(*filter(None, (self.dataset, *self._said(shared=False))))

    def among(self, frame: pd.DataFrame) -> pd.DataFrame:
        """The rows of ``frame``, which has the columns :data:`GROUP`, that belong here."""
        return frame[(frame[GROUP] == list(self)).all(axis=1)]

    def _said(self, shared: bool) -> Iterable[str]:
        if not shared:
            yield self.architecture
        if self.track != OUT_OF_THE_BOX:
            yield self.track
        if self.setting:
            yield self.setting


def slug(*parts: str) -> str:
    """Words as a file name that any file system takes."""
    return "-".join(re.sub(r"[^A-Za-z0-9_.=]+", "-", part).strip("-.") for part in parts)

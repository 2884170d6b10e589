"""census_income: two binary tasks about the persons of the US census surveys of 1994 and 1995.

The settings of J. Ma, Z. Zhao, X. Yi, J. Chen, L. Hong, E. H. Chi, "Modeling task relationships in multi-task learning
with multi-gate mixture-of-experts", KDD 2018, section 5: income above 50,000 dollars, or education of at least college,
each with never married. At least college means an associate degree or more: then the correlation of the two labels is
−0.240 in the training file (the paper has 0.237), while it is −0.288 with "some college but no degree" and −0.198 from
the bachelor's degree on; that of the income setting is −0.178 (0.177). As in that paper and in H. Tang et al.,
"Progressive layered extraction", RecSys 2020, the test file is halved at random into validation and test.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from torch import nn

from . import data_directory, files, tables
from .cache import cached
from .dataset import DatasetError, MultiTaskDataset, Protocol, Reported, Source, SourceFile, Split, Splits, Task
from .losses import bce_with_logits
from .metrics import AUC, BINARY_ACCURACY

TRAIN, TEST = "census-income.data.gz", "census-income.test.gz"
_URL = "https://archive.ics.uci.edu/ml/machine-learning-databases/census-income-mld/"
# The attributes in the order of the file and how many values a nominal one has there; 0 is a number.
ATTRIBUTES = {
    **{"age": 0, "class_of_worker": 9, "industry_code": 52, "occupation_code": 47, "education": 17, "wage": 0},
    **{"enrolled": 3, "marital_status": 7, "industry": 24, "occupation": 15, "race": 5, "hispanic": 10, "sex": 2},
    **{"union": 3, "unemployment": 6, "employment": 8, "capital_gains": 0, "capital_losses": 0, "dividends": 0},
    **{"tax_filer": 6, "previous_region": 6, "previous_state": 51, "household": 38, "household_summary": 8},
    **{"weight": 0, "moved_msa": 10, "moved_region": 9, "moved_within": 10, "same_house": 3, "sunbelt": 4},
    **{"employer_size": 0, "parents": 5, "father_born": 43, "mother_born": 43, "born": 43, "citizenship": 5},
    **{"own_business": 3, "veteran_form": 3, "veteran": 3, "weeks_worked": 0, "year": 2, "income": 2},
}
LABELS = ("- 50000.", "50000+.")
NEVER_MARRIED = "Never married"
COLLEGE = (
    *("Associates degree-occup /vocational", "Associates degree-academic program", "Bachelors degree(BA AB BS)"),
    *("Masters degree(MA MS MEng MEd MSW MBA)", "Prof school degree (MD DDS DVM LLB JD)", "Doctorate degree(PhD EdD)"),
)

_MMOE = "Ma et al. 2018 and later papers with their two tasks"
REPORTED = (
    Reported("income", "auc", 0.94, 0.95, _MMOE),
    Reported("never_married", "auc", 0.985, 0.995, _MMOE),
)


class CensusIncome(MultiTaskDataset):
    """199,523 persons for training, 49,881 each for validation and test; two binary tasks.

    ``variant="income"``: income above 50,000 dollars and never married; ``"education"``: at least college and never
    married. Inputs are the attributes (age, class of worker, ...) without those that a target is read from; income and
    the weight of the survey are never one. ``widths`` are those of the encoder's layers.
    """

    name = "census_income"
    summary = "income or education, and never married, of 299,285 persons, 2 binary tasks"
    variants = ("income", "education")
    # The papers search their learning rate; chosen here: AUC 0.945 and 0.994 after one epoch of equal weighting.
    protocol = Protocol(epochs=3, batch_size=1024, optimizer="adam", learning_rate=1e-3)
    source = Source(
        files=(
            SourceFile(
                TRAIN, "3a8265c042a3a804761b804e3fbd2b44d26780fc11848cdc499a439b6ec209c2", 5_988_689, _URL + TRAIN
            ),
            SourceFile(
                TEST, "5ac4cacd3ca9f1ecb10de1a0a41e4ac68fdc419e3fec190f5c0c6cc03b2ea659", 3_261_416, _URL + TEST
            ),
        ),
        home="UCI Machine Learning Repository, Census-Income (KDD)",
        licence="CC BY 4.0",
        citation=(
            "Census-Income (KDD). UCI Machine Learning Repository, 2000. J. Ma, Z. Zhao, X. Yi, J. Chen, L. Hong, "
            "E. H. Chi. Modeling task relationships in multi-task learning with multi-gate mixture-of-experts. KDD 2018"
        ),
        folder="census_income_kdd",
    )

    def __init__(self, *, variant: str = "income", widths: tuple[int, ...] = (128, 64)) -> None:
        self.widths = tables.check_widths(self.name, widths)
        self.tasks = tuple(
            Task(task, 1, bce_with_logits, (AUC, BINARY_ACCURACY)) for task in (variant, "never_married")
        )
        if variant == "income":
            self.reported = REPORTED
        targets = {"weight", "income", "marital_status", variant}
        self.inputs = {name: size for name, size in ATTRIBUTES.items() if name not in targets}

    def load(self, seed: int, data_dir: Path | None = None) -> Splits:
        """The persons, the same for every ``seed``."""
        paths = files.locate(self.source, data_directory(data_dir) / self.source.folder)
        variant = self.tasks[0].name
        return cached(self.name, self.source, paths, {"variant": variant}, lambda: self._build(paths))

    def _build(self, paths: Mapping[str, Path]) -> Splits:
        files.verify(self.source, paths)
        numbers = [name for name, size in ATTRIBUTES.items() if not size]
        frames = [
            tables.read_csv(paths[name], files.read_gzip(paths[name]), tuple(ATTRIBUTES), numbers)
            for name in (TRAIN, TEST)
        ]
        for name, frame in zip((TRAIN, TEST), frames, strict=True):
            wrong = set(frame["income"].cat.categories) - set(LABELS)
            if wrong:
                raise DatasetError(
                    f"{paths[name]} holds the label {min(wrong)!r}, but labels are {' and '.join(LABELS)}"
                )
        truths = {"income": (LABELS[1],), "education": COLLEGE, "never_married": (NEVER_MARRIED,)}
        columns = {"never_married": "marital_status"}
        targets = [
            {
                task.name: frame[columns.get(task.name, task.name)].isin(truths[task.name]).to_numpy(np.float32)
                for task in self.tasks
            }
            for frame in frames
        ]
        train, held_out = tables.encode(paths[TRAIN], frames, self.inputs)
        order = np.random.default_rng(0).permutation(len(held_out))
        halves = [np.sort(order[: len(order) // 2]), np.sort(order[len(order) // 2 :])]
        return Splits.of(
            _split(train, targets[0], np.arange(len(train))), *(_split(held_out, targets[1], half) for half in halves)
        )

    def stem(self) -> nn.Module:
        """The attributes as columns of 0 and 1."""
        return tables.OneHot(self.inputs)

    def encoder(self) -> nn.Module:
        """The attributes as columns of 0 and 1, and full layers of ``widths``."""
        expand = tables.OneHot(self.inputs)
        return nn.Sequential(expand, *tables.full_layers(expand.width, self.widths))

    def head(self, task: Task) -> nn.Module:
        """One full layer, to the logit."""
        return nn.Linear(self.widths[-1], task.outputs)


def _split(inputs: np.ndarray, targets: dict[str, np.ndarray], rows: np.ndarray) -> Split:
    return Split(
        torch.from_numpy(inputs[rows]), {name: torch.from_numpy(value[rows, None]) for name, value in targets.items()}
    )

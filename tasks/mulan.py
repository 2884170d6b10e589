"""mulan: fourteen multi-target regression sets of the Mulan collection, ``mulan:rf1`` and so on.

From E. Spyromitros-Xioufis, G. Tsoumakas, W. Groves, I. Vlahavas, "Multi-target regression via input space expansion",
Machine Learning 104(1), 2016, whose metric, the relative root mean squared error, is averaged over the targets there
(aRRMSE). The literature cross-validates: here the seed draws 60 % for training and 20 % each for validation and test.
Nominal inputs become a column of 0 and 1 per value; a missing input is the mean of training.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
from torch import nn

from . import data_directory, files, tables
from .dataset import DatasetError, MultiTaskDataset, Protocol, Source, SourceFile, Splits, Task
from .losses import mse
from .metrics import RELATIVE_RMSE


class Table(NamedTuple):
    """One ARFF file: samples, input columns with nominal ones expanded, and the targets, its last attributes."""

    samples: int
    inputs: int
    targets: str
    bytes: int
    sha256: str


_FARES = "all_min_pa all_min_p0 dl_min_pa co_min_pa fl_min_pa ua_min_pa"
_FLARES = "c_class m_class x_class"
# Occupations by the first number of their attribute, species of the river by their number.
TABLES = {
    "andro": Table(
        *(49, 30, "target target_2 target_3 target_4 target_5 target_6", 10_346),
        "08f0e2757b2a7635136ac58ea76c4e801ffeb0a81116b29e6ac169228c8aa132",
    ),
    "atp1d": Table(*(337, 411, _FARES, 1_103_985), "ed935ba476c4994ba40d6712d590fb389709cceba7cf7dbbb33ef28c84762bb9"),
    "atp7d": Table(*(296, 411, _FARES, 997_584), "77d59efdf4a6329c71c854684de7409d0d61d3bebccd6821ae268c1620c95b2d"),
    "edm": Table(*(154, 16, "dflow dgap", 13_939), "37777374030f592a53cbcf597ae0aa6105238a1c696dd04ccb229be982f6bc5b"),
    "enb": Table(*(768, 8, "y1 y2", 40_203), "8277d9094ccda6da2cd1c2b79c90ca201fa3695e75aca173ffc43138dcab0071"),
    "jura": Table(*(359, 15, "cd co cu", 24_681), "78ce7655f49073e3622ef7ba25657b3900a2b279ba3d48cb82e353e56bac3d2a"),
    "oes10": Table(
        *(403, 298),
        "513021 292071 392021 151131 151141 291069 119032 432011 "
        "419022 292037 519061 291051 172141 431011 291127 412021",
        *(726_680, "37f9fa429f6f2ece2cdfd08e84649971e61ee0b4e75d66166c082bacf3d36251"),
    ),
    "oes97": Table(
        *(334, 263),
        "58028 15014 32511 15017 98502 92965 32314 13008 21114 85110 27311 98902 65032 92998 27108 53905",
        *(559_271, "aee74aa656c709f797f45d817c41996be94c2e924c0f1e7ad315fb7e2f1a9498"),
    ),
    "rf1": Table(
        *(9_125, 64, "chsi2 nasi2 eadm7 sclm7 clkm7 vali2 napm7 dldi4", 3_019_482),
        "994f9e334811e040d2002e46d3ce06504e5d441249bf65448f53d6ea24b33cf0",
    ),
    "scm20d": Table(
        *(8_966, 61),
        "lbl mtlp2a mtlp3a mtlp4a mtlp5a mtlp6a mtlp7a mtlp8a mtlp9a mtlp10a mtlp11a mtlp12a mtlp13a mtlp14a mtlp15a "
        "mtlp16a",
        *(3_722_993, "2261a94bff5cfb617dbd2e7fd2c17d15d45135103a081917d1358c2ad13a4bd2"),
    ),
    "sf1": Table(*(323, 33, _FLARES, 12_732), "8f78e64aca64f7c0c7ba4d9b2f114feb2a6f72e6116e87d7dab94e7cab426d93"),
    "sf2": Table(*(1_066, 33, _FLARES, 40_966), "2c1ac60f3e612b0e0bc9884ffe98a205ce07ca83f3f89c019220fde350396795"),
    "slump": Table(
        *(103, 7, "slump_cm flow_cm compressive_strength_mpa", 4_608),
        "3a9a9eba416b06c7668153b44073a0e165afbfc9e526d53b174e5f97a707ca6c",
    ),
    "wq": Table(
        *(1_060, 16, "25400 29600 30400 33400 17300 19400 34500 38100 49700 50390 55800 57500 59300 37880", 316_219),
        "4a0906b4a51bf52c986790ddaf261ba51faa3da9cffe823badabd88d38d252fe",
    ),
}


class Mulan(MultiTaskDataset):
    """2 to 16 regression tasks on a table of numbers; inputs and targets are standardised on training.

    ``variant`` is the set, ``widths`` are those of the encoder's layers.
    """

    name = "mulan"
    summary = "fourteen tables with 2 to 16 targets, one set per variant, regression tasks"
    variants = tuple(TABLES)

    def __init__(self, *, variant: str = "rf1", widths: tuple[int, ...] = (64, 64)) -> None:
        self.widths = tables.check_widths(self.name, widths)
        self.table = TABLES[variant]
        self.tasks = tuple(
            Task(task, 1, mse, (RELATIVE_RMSE, tables.STANDARD_MAE)) for task in self.table.targets.split()
        )
        # Chosen here: about as many steps whatever the number of rows.
        large = self.table.samples > 2000
        self.protocol = Protocol(
            epochs=30 if large else 100, batch_size=128 if large else 16, optimizer="adam", learning_rate=2e-3
        )
        self.source = Source(
            files=(
                SourceFile(
                    *(f"{variant}.arff", self.table.sha256, self.table.bytes),
                    "https://mulan.sourceforge.net/datasets-mtr.html",
                ),
            ),
            home="Mulan: a Java library for multi-label learning, multi-target regression datasets",
            licence="none stated for the collection; enb, sf1, sf2 and slump are CC BY 4.0",
            citation=(
                "E. Spyromitros-Xioufis, G. Tsoumakas, W. Groves, I. Vlahavas. Multi-target regression via input space "
                "expansion: treating targets as inputs. Machine Learning 104(1), 2016"
            ),
            folder="mulan_mtr",
        )

    def load(self, seed: int, data_dir: Path | None = None) -> Splits:
        """The rows of trial ``seed``."""
        paths = files.locate(self.source, data_directory(data_dir) / self.source.folder)
        files.verify(self.source, paths)
        (path,) = paths.values()
        inputs, targets = tables.read_arff(path, len(self.tasks))
        if inputs.shape[1] != self.table.inputs:
            raise DatasetError(f"{path} has {inputs.shape[1]} columns of inputs instead of {self.table.inputs}")
        tables.check_numbers(path, targets)
        members = tables.share(np.random.default_rng(seed), len(inputs))
        return Splits.of(*tables.regression_splits([task.name for task in self.tasks], inputs, targets, members))

    def encoder(self) -> nn.Module:
        """Full layers of ``widths``."""
        return nn.Sequential(*tables.full_layers(self.table.inputs, self.widths))

    def head(self, task: Task) -> nn.Module:
        """One full layer."""
        return nn.Linear(self.widths[-1], task.outputs)

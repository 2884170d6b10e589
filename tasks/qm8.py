"""qm8: energies and strengths of the first two electronic transitions, by three quantum-chemical methods.

21,786 molecules of up to eight heavy atoms, 12 regressions: E1, E2 (hartree) and f1, f2 (no unit) at RI-CC2, PBE0 and
CAM-B3LYP. The file has PBE0's columns twice, value for value; the copy is not read.
"""

from __future__ import annotations

from dataclasses import replace

from .dataset import Protocol, Source, SourceFile, Task
from .losses import l1
from .metrics import MAE
from .molecules import Molecules, slug

_COLUMNS = tuple(f"{quantity}-{method}" for method in ("CC2", "PBE0", "CAM") for quantity in ("E1", "E2", "f1", "f2"))


class QM8(Molecules):
    """12 regressions on 2048-bit fingerprints, loss and metric the mean absolute error in the file's own unit.

    The standard deviations of all 12 targets lie between 0.035 and 0.073, so nothing is rescaled.
    """

    name = "qm8"
    summary = "electronic spectra of 21,786 small molecules from their fingerprints, 12 regression tasks"
    columns = _COLUMNS
    binary = False
    tasks = tuple(
        Task(slug(column), 1, l1, (replace(MAE, unit="hartree" if column.startswith("E") else "oscillator strength"),))
        for column in _COLUMNS
    )
    # As tox21: chosen here but for the rate and the network, which are MoleculeNet's.
    protocol = Protocol(epochs=20, batch_size=128, optimizer="adam", learning_rate=1e-3)
    source = Source(
        files=(
            SourceFile(
                "qm8.csv.gz",
                "04c445ef01a22b6fbe032c10bccd4c73704c3fd96e3c96a675c1b3a7658df877",
                1_246_400,
                "https://deepchemdata.s3-us-west-1.amazonaws.com/datasets/qm8.csv.gz",
            ),
        ),
        home="quantum-machine.org, in MoleculeNet's form",
        licence="none stated; distributed openly by quantum-machine.org and MoleculeNet",
        citation=(
            "R. Ramakrishnan, M. Hartmann, E. Tapavicza, O. A. von Lilienfeld. Electronic spectra from TDDFT and "
            "machine learning in chemical space. J. Chem. Phys. 143, 2015. Z. Wu et al. MoleculeNet. Chem. Sci. 9, 2018"
        ),
        folder="qm8",
    )

"""tox21: does a compound disturb one of 12 nuclear receptors or stress responses? With labels missing.

Tox21 Data Challenge 2014 in MoleculeNet's form: 7,831 compounds, 12 yes-or-no tasks, 83 % of the labels known.
"""

from __future__ import annotations

from .dataset import Protocol, Source, SourceFile, Task
from .losses import bce_with_logits
from .metrics import AUC
from .molecules import Molecules, slug

_COLUMNS = (
    *("NR-AR", "NR-AR-LBD", "NR-AhR", "NR-Aromatase", "NR-ER", "NR-ER-LBD", "NR-PPAR-gamma"),
    *("SR-ARE", "SR-ATAD5", "SR-HSE", "SR-MMP", "SR-p53"),
)


class Tox21(Molecules):
    """12 binary tasks on 2048-bit fingerprints; a metric is over the compounds of the split that have its label."""

    name = "tox21"
    summary = "toxicity of 7,831 compounds from their fingerprints, 12 binary tasks with missing labels"
    columns = _COLUMNS
    tasks = tuple(Task(slug(column), 1, bce_with_logits, (AUC,)) for column in _COLUMNS)
    # MoleculeNet's rate and network; the number of epochs and the batch are chosen here, where validation peaks.
    protocol = Protocol(epochs=10, batch_size=128, optimizer="adam", learning_rate=1e-3)
    source = Source(
        files=(
            SourceFile(
                "tox21.csv",
                "b58cc1f683e78e3c7a1bf7116e9aac0119804018d100f7b8cdb0857941c31aca",
                458_635,
                "https://deepchemdata.s3-us-west-1.amazonaws.com/datasets/tox21.csv.gz",
            ),
        ),
        home="the Tox21 Data Challenge 2014 (NIH NCATS), unpacked from MoleculeNet's tox21.csv.gz",
        licence="public domain (US government work)",
        citation=(
            "R. Huang et al. Tox21Challenge to build predictive models of nuclear receptor and stress response "
            "pathways. Front. Environ. Sci. 3:85, 2016. Z. Wu et al. MoleculeNet. Chem. Sci. 9, 2018"
        ),
        folder="tox21",
    )

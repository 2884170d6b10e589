"""toxcast: which of 617 assays does a compound trigger? Most labels are missing.

US EPA ToxCast in MoleculeNet's form: 8,576 compounds, 29 % of the labels known. A stress test for many tasks.
"""

from __future__ import annotations

from .dataset import Protocol, Source, SourceFile, Task
from .losses import bce_with_logits
from .metrics import AUC
from .molecules import Molecules, slug
from .toxcast_assays import ASSAYS


class ToxCast(Molecules):
    """617 binary tasks on 2048-bit fingerprints; a metric is over the compounds of the split that have its label.

    Some assays have 19 active compounds: in a random split a few compounds change places, so that validation and test
    have both classes of every task. The scaffold split, which is fixed, leaves some tasks without, and is refused.
    """

    name = "toxcast"
    summary = "toxicity of 8,576 compounds from their fingerprints, 617 binary tasks with missing labels"
    columns = ASSAYS
    tasks = tuple(Task(slug(assay), 1, bce_with_logits, (AUC,)) for assay in ASSAYS)
    # As tox21: chosen here but for the rate and the network, which are MoleculeNet's.
    protocol = Protocol(epochs=10, batch_size=128, optimizer="adam", learning_rate=1e-3)
    source = Source(
        files=(
            SourceFile(
                "toxcast.csv.gz",
                "4b9b4366b02ce7ec7a0831d60f8c46f153c53c5e122376df887476240496abd4",
                403_733,
                "https://deepchemdata.s3-us-west-1.amazonaws.com/datasets/toxcast_data.csv.gz",
            ),
        ),
        home="US EPA ToxCast, MoleculeNet's toxcast_data.csv.gz under the name toxcast.csv.gz",
        licence="public domain (US government work)",
        citation=(
            "A. M. Richard et al. ToxCast chemical landscape: paving the road to 21st century toxicology. Chem. Res. "
            "Toxicol. 29(8), 2016. Z. Wu et al. MoleculeNet. Chem. Sci. 9, 2018"
        ),
        folder="toxcast",
    )

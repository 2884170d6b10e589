"""office_caltech: ten kinds of things in four collections of pictures; each collection is a task with its own data.

Amazon, Caltech, DSLR and webcam pictures as histograms of 800 visual words (SURF): B. Gong et al., CVPR 2012. The
pictures of a domain have the label of its task alone, so that the data of the tasks are disjoint: a batch is drawn
from all domains together, and each task learns from its share.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import nn

from . import data_directory, files
from .dataset import DatasetError, MultiTaskDataset, Protocol, Source, SourceFile, Splits, Task
from .domains import domain_splits
from .losses import cross_entropy
from .metrics import ACCURACY

WORDS, CLASSES = 800, 10
_FILES = {
    "amazon": ("amazon_SURF_L10.mat", "df32548b994e18d364c99e1f317e1fae100597259f0423a41b90f4f68187bb1f", 104_970),
    "caltech": ("Caltech10_SURF_L10.mat", "4f9334c8ced489d5054de97a5fd51a61f017f3bcd1f38c9a85c6d78cb9d7bda5", 150_751),
    "dslr": ("dslr_SURF_L10.mat", "44d673c68e1d07b837893aa74dba3b986e4a6cc3fd66f0dd357683bdef059216", 18_348),
    "webcam": ("webcam_SURF_L10.mat", "a6a9c78b4b7181dfbb58bcfd351d4ebd737f171c31247b8884948aa156d3f700", 32_406),
}
_URL = "https://github.com/jindongwang/transferlearning/tree/master/data#office-caltech10"


class OfficeCaltech(MultiTaskDataset):
    """Four tasks of 10 classes on 800 numbers: word counts over their sum, standardised over the training pictures.

    Each class of each domain is split 60/20/20, once and for all: 1,521 + 506 + 506 pictures.
    """

    name = "office_caltech"
    summary = "ten object classes in four domains as SURF histograms, 4 classification tasks with disjoint data"
    tasks = tuple(Task(domain, CLASSES, cross_entropy, (ACCURACY,)) for domain in _FILES)
    # Chosen here: the papers on these features adapt from one domain to another and train no network on all four.
    protocol = Protocol(epochs=30, batch_size=128, optimizer="adam", learning_rate=1e-3, weight_decay=1e-3)
    source = Source(
        files=tuple(SourceFile(name, sha256, size, _URL) for name, sha256, size in _FILES.values()),
        home="the geodesic flow kernel data of B. Gong, Office-Caltech-10 with SURF features",
        licence="none stated; features only, no pictures",
        citation=(
            "B. Gong, Y. Shi, F. Sha, K. Grauman. Geodesic flow kernel for unsupervised domain adaptation. CVPR 2012. "
            "K. Saenko, B. Kulis, M. Fritz, T. Darrell. Adapting visual category models to new domains. ECCV 2010"
        ),
        folder="office_caltech10",
    )

    def __init__(self, *, width: int = 256) -> None:
        if type(width) is not int or width < 1:
            raise DatasetError(f"office_caltech: width is {width!r} but must be a whole number of at least 1")
        self.width = width

    def load(self, seed: int, data_dir: Path | None = None) -> Splits:
        """The histograms and labels, the same for every ``seed``."""
        paths = files.locate(self.source, data_directory(data_dir) / self.source.folder)
        files.verify(self.source, paths)
        domains = {domain: _read(paths[name]) for domain, (name, _, _) in _FILES.items()}
        return domain_splits(domains, prepare=_standardised)

    def encoder(self) -> nn.Module:
        """One full layer with dropout 0.5, to (batch, width)."""
        return nn.Sequential(nn.Linear(WORDS, self.width), nn.ReLU(), nn.Dropout(0.5))

    def head(self, task: Task) -> nn.Module:
        """One full layer, to one output per class."""
        return nn.Linear(self.width, task.outputs)


def _read(path: Path) -> tuple[torch.Tensor, np.ndarray]:
    """The histograms (N, 800), each with sum 1, and the labels from 0 of one domain."""
    from scipy.io import loadmat
    from scipy.io.matlab import MatReadError

    try:
        content = loadmat(path, variable_names=("fts", "labels"))
        counts, labels = content["fts"], content["labels"].ravel().astype(np.int64) - 1
    except (MatReadError, ValueError, TypeError, OSError, KeyError, NotImplementedError) as error:
        raise DatasetError(f"{path} is not a MATLAB file with fts and labels: {error}") from None
    if counts.ndim != 2 or counts.shape[1] != WORDS or len(counts) != len(labels):
        raise DatasetError(f"{path}: fts is {' x '.join(map(str, counts.shape))}, not {len(labels)} x {WORDS}")
    if not np.isin(labels, range(CLASSES)).all():
        raise DatasetError(f"{path} holds a label outside 1 to {CLASSES}")
    total = counts.sum(axis=1, keepdims=True, dtype=np.float64)
    if not np.isfinite(total).all() or (total <= 0).any():
        raise DatasetError(f"{path} holds a picture without any visual word")
    return torch.from_numpy((counts / total).astype(np.float32)), labels


def _standardised(train: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean and scale of the training pictures; a word that none of them has keeps its unit."""
    scale = train.std(dim=0)
    return train.mean(dim=0), torch.where(scale > 0, scale, 1)

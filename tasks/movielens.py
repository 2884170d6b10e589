"""movielens: will this user watch this film, and how does he rate it? MovieLens-1M, two tasks.

The tasks of Y. Wang et al., "Can small heads help? Understanding and improving multi-task generalization" (WWW 2022):
*watch* is 1 for the 1,000,209 ratings and 0 for as many drawn pairs of user and film that nobody rated; *rating*, from
1 to 5, is a squared error over the pairs that were watched. The folder ``ml-1m/`` holds the archive's ``ratings.dat``,
``users.dat`` and ``movies.dat``.
"""

from __future__ import annotations

import re
from pathlib import Path
from zlib import crc32

import numpy as np
import torch
from torch import Tensor, nn

from . import data_directory, files
from .dataset import DatasetError, MultiTaskDataset, Protocol, Source, Split, Splits, Task
from .losses import bce_with_logits, mse
from .metrics import AUC, RMSE

GENRES = [
    "Action",
    "Adventure",
    "Animation",
    "Children's",
    "Comedy",
    "Crime",
    "Documentary",
    "Drama",
    "Fantasy",
    "Film-Noir",
    "Horror",
    "Musical",
    "Mystery",
    "Romance",
    "Sci-Fi",
    "Thriller",
    "War",
    "Western",
]
AGES, OCCUPATIONS = (1, 18, 25, 35, 45, 50, 56), 21
USERS, MOVIES, BUCKETS = 6040, 3952, 4096
WORDS = 8  # of a title; films with longer ones keep the first
# Of each column of the inputs: its name, how many numbers it has, how many entries its table has.
FIELDS = (
    *(("user", 1, USERS + 1), ("gender", 1, 2), ("age", 1, len(AGES)), ("occupation", 1, OCCUPATIONS)),
    *(("zip", 1, BUCKETS), ("movie", 1, MOVIES + 1), ("title", WORDS, BUCKETS), ("genres", 6, len(GENRES) + 1)),
)


class Embeddings(nn.Module):
    """Integers (batch, columns) to the embeddings of all fields side by side.

    A field of several numbers, title words or genres, has the mean of their embeddings; 0 there means none.
    """

    def __init__(self, size: int) -> None:
        super().__init__()
        self.tables = nn.ModuleDict(
            {
                name: nn.EmbeddingBag(entries, size, mode="mean", padding_idx=0 if width > 1 else None)
                for name, width, entries in FIELDS
            }
        )

    def forward(self, inputs: Tensor) -> Tensor:
        columns = inputs.split([width for _, width, _ in FIELDS], dim=1)
        return torch.cat([table(column) for table, column in zip(self.tables.values(), columns, strict=True)], dim=1)


class MovieLens(MultiTaskDataset):
    """Two tasks on int32 inputs: user, gender, age, occupation, zip code, film, words of its title, genres.

    Words and zip codes are hashed into 4,096 entries. The seed draws the unwatched pairs, and 80/10/10 of all rows.
    ``width`` is that of the shared layer and of the heads, ``embedding`` the size of every embedding.
    """

    name = "movielens"
    summary = "who watches a film and how it is rated, MovieLens-1M, 1 binary and 1 regression task"
    tasks = (
        Task("watch", 1, bce_with_logits, (AUC,)),
        Task("rating", 1, mse, (RMSE,)),
    )
    # The paper: batches of 100 for 2 epochs, with Adagrad at 0.1, which mtlbench does not have; Adam's rate is ours.
    protocol = Protocol(epochs=2, batch_size=100, optimizer="adam", learning_rate=1e-3)
    source = Source(
        files=(),
        layout=("ratings.dat", "users.dat", "movies.dat"),
        home="GroupLens, MovieLens 1M, https://files.grouplens.org/datasets/movielens/ml-1m.zip",
        licence="GroupLens' own: for research, no redistribution without permission",
        citation=(
            "F. M. Harper, J. A. Konstan. The MovieLens datasets: history and context. ACM TiiS 5(4), 2015. Y. Wang et "
            "al. Can small heads help? Understanding and improving multi-task generalization. WWW 2022"
        ),
        folder="ml-1m",
    )

    def __init__(self, *, width: int = 200, embedding: int = 16) -> None:
        for name, value in (("width", width), ("embedding", embedding)):
            if type(value) is not int or value < 1:
                raise DatasetError(f"movielens: {name} is {value!r} but must be a whole number of at least 1")
        self.width, self.embedding = width, embedding

    def load(self, seed: int, data_dir: Path | None = None) -> Splits:
        """The pairs of trial ``seed``: those rated, and as many that were not."""
        paths = files.locate(self.source, data_directory(data_dir) / self.source.folder)
        users, user_features = _users(paths["users.dat"])
        movies, movie_features = _movies(paths["movies.dat"])
        rated, stars = _ratings(paths["ratings.dat"], users, movies)
        rng = np.random.default_rng(seed)
        unrated = np.setdiff1d(np.arange(len(users) * len(movies)), rated, assume_unique=True)
        if len(unrated) < len(rated):
            raise DatasetError(f"{paths['ratings.dat']}: more than half of all pairs of user and film are rated")
        pairs = np.concatenate([rated, rng.choice(unrated, len(rated), replace=False)])
        stars = np.concatenate([stars, np.full(len(rated), np.nan, dtype=np.float32)])
        count = len(pairs)

        def split(part: np.ndarray) -> Split:
            user, movie = np.divmod(pairs[part], len(movies))
            inputs = np.concatenate([user_features[user], movie_features[movie]], axis=1)
            rating = torch.from_numpy(stars[part, None])
            return Split(torch.from_numpy(inputs), {"watch": (~rating.isnan()).float(), "rating": rating})

        return Splits.of(*map(split, np.split(rng.permutation(count), [int(0.8 * count), int(0.9 * count)])))

    def encoder(self) -> nn.Module:
        """The embeddings and the paper's one shared layer with dropout 0.5, to (batch, width)."""
        features = len(FIELDS) * self.embedding
        return nn.Sequential(Embeddings(self.embedding), nn.Linear(features, self.width), nn.ReLU(), nn.Dropout(0.5))

    def head(self, task: Task) -> nn.Module:
        """The paper's: one hidden layer with dropout 0.5."""
        hidden = nn.Linear(self.width, self.width), nn.ReLU(), nn.Dropout(0.5)
        return nn.Sequential(*hidden, nn.Linear(self.width, task.outputs))


def _table(path: Path, columns: int) -> list[list[str]]:
    """The rows of a file whose columns are separated by ``::``."""
    try:
        lines = path.read_text(encoding="latin-1").splitlines()
    except OSError as error:
        raise DatasetError(f"{path} cannot be read: {error.strerror}") from None
    rows = [line.split("::") for line in lines]
    wrong = [number for number, row in enumerate(rows, 1) if len(row) != columns]
    if wrong or not rows:
        raise DatasetError(f"{path}: line {wrong[0] if wrong else 1} does not have {columns} columns separated by '::'")
    return rows


def _integers(path: Path, column: list[str], name: str, low: int, high: int) -> np.ndarray:
    wrong = [text for text in column if not text.isdecimal() or not low <= int(text) <= high]
    if wrong:
        raise DatasetError(f"{path} holds the {name} {wrong[0]!r}, but it must be a number from {low} to {high}")
    return np.array(column, dtype=np.int64)


def _users(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """The sorted identifiers, and of each the five input columns."""
    number, gender, age, occupation, postal = (list(column) for column in zip(*_table(path, 5), strict=True))
    ids = _integers(path, number, "user", 1, USERS)
    ages = _integers(path, age, "age", AGES[0], AGES[-1])
    if not np.isin(ages, AGES).all() or not {"F", "M"}.issuperset(gender):
        raise DatasetError(
            f"{path} holds an age that is not one of {', '.join(map(str, AGES))}, or a gender not F or M"
        )
    columns = [ids, np.array(gender) == "M", np.searchsorted(AGES, ages)]
    columns += [_integers(path, occupation, "occupation", 0, OCCUPATIONS - 1), np.array([_bucket(p) for p in postal])]
    return _sorted(path, ids, np.stack(columns, axis=1))


def _movies(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """The sorted identifiers, and of each film its number, the words of its title and its genres."""
    number, title, genres = (list(column) for column in zip(*_table(path, 3), strict=True))
    ids = _integers(path, number, "film", 1, MOVIES)
    features = np.zeros((len(ids), 1 + WORDS + 6), dtype=np.int64)
    features[:, 0] = ids
    for row, words, kinds in zip(features, title, genres, strict=True):
        found = [_bucket(word) for word in re.findall(r"\w+", words.lower())][:WORDS]
        unknown = [kind for kind in kinds.split("|") if kind not in GENRES]
        if unknown:
            raise DatasetError(f"{path} holds the genre {unknown[0]!r}, which MovieLens-1M does not have")
        known = [1 + GENRES.index(kind) for kind in kinds.split("|")][:6]
        row[1 : 1 + len(found)] = found
        row[1 + WORDS : 1 + WORDS + len(known)] = known
    return _sorted(path, ids, features)


def _ratings(path: Path, users: np.ndarray, movies: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The rated pairs as place of the user times films plus place of the film, and the stars."""
    import pandas as pd

    try:
        table = pd.read_csv(path, sep=":", header=None, usecols=[0, 2, 4, 6], dtype="int64").to_numpy()
    except (ValueError, OSError) as error:
        raise DatasetError(f"{path} is not a table of user::film::rating::time: {str(error).splitlines()[0]}") from None
    user, movie, stars, _ = table.T
    if not (np.isin(user, users).all() and np.isin(movie, movies).all()):
        raise DatasetError(f"{path} holds a user or a film that users.dat and movies.dat do not list")
    if not np.isin(stars, range(1, 6)).all():
        raise DatasetError(f"{path} holds a rating outside 1 to 5")
    pairs = np.searchsorted(users, user) * len(movies) + np.searchsorted(movies, movie)
    if len(np.unique(pairs)) != len(pairs):
        raise DatasetError(f"{path} holds two ratings of one film by one user")
    return pairs, stars.astype(np.float32)


def _sorted(path: Path, ids: np.ndarray, features: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    if len(np.unique(ids)) != len(ids):
        raise DatasetError(f"{path} lists an identifier twice")
    order = np.argsort(ids)
    return ids[order], features[order].astype(np.int32)


def _bucket(text: str) -> int:
    """An entry from 1 that depends on the text alone: Python's own hash differs from process to process."""
    return 1 + crc32(text.encode()) % (BUCKETS - 1)

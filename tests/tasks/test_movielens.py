"""movielens: the pairs that are watched and those that are not, their features, and what is wrong with a file."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from mtlbench.tasks import DatasetError
from mtlbench.tasks.movielens import FIELDS, GENRES, Embeddings


def rows(data_dir, name):
    text = (data_dir / "ml-1m" / f"{name}.dat").read_text(encoding="latin-1")
    return [line.split("::") for line in text.splitlines()]


def columns(splits):
    whole = torch.cat([s.inputs for s in (splits.train, splits.validation, splits.test)])
    names, widths, _ = zip(*FIELDS, strict=True)
    return dict(zip(names, whole.split(widths, dim=1), strict=True))


def test_half_of_the_pairs_are_the_ratings_and_the_others_nobody_rated(ready):
    dataset, data_dir = ready("movielens")
    splits = dataset.load(0, data_dir)
    assert [len(splits.train), len(splits.validation), len(splits.test)] == [480, 60, 60]
    parts = (splits.train, splits.validation, splits.test)
    watch, rating = (torch.cat([s.targets[name] for s in parts]).flatten() for name in ("watch", "rating"))
    found = columns(splits)
    pairs = list(zip(found["user"].flatten().tolist(), found["movie"].flatten().tolist(), strict=True))
    rated = {(int(user), int(movie)): float(stars) for user, movie, stars, _ in rows(data_dir, "ratings")}
    assert len(set(pairs)) == 600
    assert {p: r for p, r, w in zip(pairs, rating.tolist(), watch.tolist(), strict=True) if w} == rated
    assert not {p for p, w in zip(pairs, watch.tolist(), strict=True) if not w} & set(rated)
    assert torch.equal(rating.isnan(), watch == 0)


def test_every_pair_has_the_features_of_its_user_and_film(ready):
    dataset, data_dir = ready("movielens")
    found = columns(dataset.load(1, data_dir))
    users = {int(row[0]): row for row in rows(data_dir, "users")}
    films = {int(row[0]): row for row in rows(data_dir, "movies")}
    for place, user in enumerate(found["user"].flatten().tolist()):
        assert found["gender"][place] == (users[user][1] == "M")
        assert found["occupation"][place] == int(users[user][3])
    for place, film in enumerate(found["movie"].flatten().tolist()):
        genres = [GENRES[i - 1] for i in found["genres"][place].tolist() if i]
        assert "|".join(genres) == films[film][2]
        assert (found["title"][place] > 0).sum() == 4  # cafe, number, the, year
    for (name, _, entries), column in zip(FIELDS, found.values(), strict=True):
        assert column.min() >= 0, name
        assert column.max() < entries, name


def test_words_are_averaged_and_none_counts_for_nothing():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        layer = Embeddings(3)
    inputs = torch.zeros(2, sum(width for _, width, _ in FIELDS), dtype=torch.int32)
    inputs[0, 6:8] = torch.tensor([5, 9])
    output = layer(inputs).view(2, len(FIELDS), 3)
    torch.testing.assert_close(output[0, 6], layer.tables["title"].weight[[5, 9]].mean(dim=0))
    assert output[1, 6].count_nonzero() == 0
    torch.testing.assert_close(output[:, 0], layer.tables["user"].weight[[0, 0]])


@pytest.mark.parametrize(
    ("name", "old", "new", "message"),
    [
        ("users", "1::M", "1::X", "a gender not F or M"),
        ("users", "2::F::25", "2::F::26", "an age that is not one of 1, 18"),
        ("users", "2::F::", "2:F::", "line 2 does not have 5 columns separated by '::'"),
        ("users", "2::F", "1::F", "lists an identifier twice"),
        ("users", "3::M", "6041::M", "the user '6041', but it must be a number from 1 to 6040"),
        ("movies", "|Crime", "|Crimes", "the genre 'Crimes', which MovieLens-1M does not have"),
        ("movies", "3::Caf", "x::Caf", "the film 'x', but it must be"),
        ("ratings", "::978300760", "", "is not a table of user::film::rating::time"),
        ("ratings", "::978", "::x978", "is not a table of user::film::rating::time"),
        ("ratings", "1::", "31::", "a user or a film that users.dat and movies.dat do not list"),
        ("ratings", "::5::978", "::6::978", "a rating outside 1 to 5"),
    ],
)
def test_a_wrong_file_is_one_sentence(ready, name, old, new, message):
    dataset, data_dir = ready("movielens")
    path = data_dir / "ml-1m" / f"{name}.dat"
    text = path.read_text(encoding="latin-1")
    assert old in text
    path.write_text(text.replace(old, new), encoding="latin-1")
    with pytest.raises(DatasetError, match=f"{name}.dat.*{message}") as caught:
        dataset.load(0, data_dir)
    assert "\n" not in str(caught.value)


def test_a_rating_twice_or_too_many_of_them_are_said(ready):
    dataset, data_dir = ready("movielens")
    path = data_dir / "ml-1m" / "ratings.dat"
    text = path.read_text()
    path.write_text(text + text.splitlines()[0] + "\n")
    with pytest.raises(DatasetError, match="two ratings of one film by one user"):
        dataset.load(0, data_dir)
    every = np.arange(30 * 40)
    path.write_text("".join(f"{1 + p // 40}::{3 * (1 + p % 40)}::3::0\n" for p in every))
    with pytest.raises(DatasetError, match="more than half of all pairs"):
        dataset.load(0, data_dir)

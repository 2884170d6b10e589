"""Built data come back with the same bits, and only where nothing that decided them has changed."""

from __future__ import annotations

import logging
import multiprocessing
from pathlib import Path

import numpy as np
import pytest
import torch

from mtlbench.tasks import DatasetError, Source, SourceFile, Split, Splits, cache, files


class Loader:
    """A dataset of one source file, which counts how often it was built."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / "a.bin"
        self.file.write_bytes(b"abc")
        self.source = Source((SourceFile("a.bin", files.sha256(self.file), 3, "https://a"),), "home", "MIT", "none")
        self.built = 0

    def build(self) -> Splits:
        self.built += 1
        files.verify(self.source, {"a.bin": self.file})
        stream = torch.Generator().manual_seed(0)
        table = torch.rand(12, 3, generator=stream)  # its slices share memory
        target = torch.arange(12)
        return Splits.of(*(Split(table[i : i + 4], {"t": target[i : i + 4]}) for i in (0, 4, 8)))

    def load(self, **parameters: object) -> Splits:
        return cache.cached("a", self.source, {"a.bin": self.file}, parameters, self.build)


@pytest.fixture
def loader(tmp_path, monkeypatch) -> Loader:
    monkeypatch.setenv("MTLBENCH_CACHE", str(tmp_path / "cache"))
    return Loader(tmp_path)


def kept(tmp_path: Path) -> list[Path]:
    return sorted((tmp_path / "cache").rglob("*.safetensors"))


def test_it_is_built_once_and_comes_back_with_the_same_bits(loader, tmp_path):
    first, second = loader.load(), loader.load()
    assert loader.built == 1
    assert len(kept(tmp_path)) == 1
    assert first.digest == second.digest == Splits.of(second.train, second.validation, second.test).digest
    assert second.train.sources is None


@pytest.mark.parametrize("kind", [torch.uint8, torch.float32])
def test_pictures_are_kept_as_bytes_and_come_back_as_the_same_floats(loader, tmp_path, kind):
    values = torch.arange(256, dtype=torch.uint8).reshape(64, 4)
    inputs = torch.div(values, 255)
    if kind == torch.float32:
        inputs[0, 0] = -0.0  # equal to a byte, but not its bits
    split = Split(inputs, {"t": inputs.sum(dim=1)}, torch.arange(64)[:, None])
    whole = Splits.of(split, split, split)
    cache.cached("a", loader.source, {}, {}, lambda: whole)
    back = cache.cached("a", loader.source, {}, {}, loader.build)
    assert loader.built == 0
    assert Splits.of(back.train, back.validation, back.test).digest == whole.digest
    assert torch.equal(back.test.sources, split.sources)
    with cache.safe_open(kept(tmp_path)[0], framework="pt") as file:
        assert file.get_tensor("train/bytes" if kind == torch.uint8 else "train/inputs").dtype == kind


def test_other_parameters_are_other_data(loader, tmp_path):
    loader.load(size=1)
    loader.load(size=2)
    loader.load(size=1)
    assert loader.built == 2
    assert len(kept(tmp_path)) == 2


@pytest.mark.parametrize("change", ["source", "declared", "code", "torch"])
def test_what_is_stale_is_built_again_in_the_same_place(loader, tmp_path, monkeypatch, change):
    loader.load()
    if change == "source":
        loader.file.write_bytes(b"abd")
        loader.source = Source((SourceFile("a.bin", files.sha256(loader.file), 3, ""),), "home", "MIT", "none")
    if change == "declared":
        loader.source = Source((SourceFile("a.bin", "0" * 64, 3, ""),), "home", "MIT", "none")
        with pytest.raises(DatasetError, match="wrong checksum"):  # the cached data are not those of this source
            loader.load()
        return
    if change == "code":
        monkeypatch.setattr(cache, "_code", lambda: "changed")
    if change == "torch":
        monkeypatch.setattr(torch, "__version__", "99.0.0")
    loader.load()
    loader.load()
    assert loader.built == 2
    assert len(kept(tmp_path)) == 1


def test_the_code_of_the_folder_decides(tmp_path, monkeypatch):
    (tmp_path / "cache.py").write_text("")
    monkeypatch.setattr(cache, "__file__", str(tmp_path / "cache.py"))
    digests = []
    for text in ("ROUNDS = 1", "ROUNDS = 2"):
        (tmp_path / "two_pictures.py").write_text(text)
        digests.append(cache._code.__wrapped__())
    assert digests[0] != digests[1]


def test_every_kind_of_damage_is_found_and_mended(loader, tmp_path, caplog):
    right = loader.load().digest
    (path,) = kept(tmp_path)
    content = path.read_bytes()
    header = 8 + int.from_bytes(content[:8], "little")
    damages = [content[:-1], content[:header], content[:5], b"", content + b"\0", b"\x80\x04pickle" + content]
    for place in (3, header // 2, header, (header + len(content)) // 2, len(content) - 1):
        damages.append(content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :])
    damages.append(content.replace(b'"train/inputs"', b'"other/inputs"'))
    for number, damaged in enumerate(damages, start=1):
        path.write_bytes(damaged)
        assert loader.load().digest == right
        assert loader.built == 1 + number
        loader.load()
        assert loader.built == 1 + number
    assert "is damaged" in caplog.text


def test_a_folder_that_cannot_be_written_costs_a_warning(loader, monkeypatch, tmp_path, caplog):
    (tmp_path / "cache").write_text("a file where the folder should be")
    with caplog.at_level(logging.WARNING):
        assert loader.load().digest == loader.load().digest
    assert loader.built == 2
    assert "are not kept" in caplog.text


def test_a_failed_write_leaves_nothing(loader, tmp_path, monkeypatch):
    def full(*_: object) -> None:
        raise cache.SafetensorError("no space left on device")

    monkeypatch.setattr(cache, "save_file", full)
    loader.load()
    assert not any(path.is_file() for path in (tmp_path / "cache").rglob("*"))


def _load_often(folder: str) -> str:
    loader, digests = Loader.__new__(Loader), set()
    loader.file, loader.built = Path(folder) / "a.bin", 0
    loader.source = Source((SourceFile("a.bin", files.sha256(loader.file), 3, "https://a"),), "home", "MIT", "none")
    for _ in range(30):
        digests.add(loader.load().digest)
        for path in kept(Path(folder)):
            path.unlink(missing_ok=True)
    return ",".join(digests)


def test_processes_that_build_at_once_do_not_disturb_each_other(loader, tmp_path):
    with multiprocessing.get_context("fork").Pool(2) as pool:
        assert pool.map(_load_often, [str(tmp_path)] * 2) == [loader.load().digest] * 2


def test_where_it_lies(monkeypatch, tmp_path):
    monkeypatch.setenv("MTLBENCH_CACHE", str(tmp_path))
    assert cache.cache_directory() == tmp_path
    monkeypatch.setenv("MTLBENCH_CACHE", "")
    assert cache.cache_directory().name == "mtlbench"


def test_multimnist_comes_from_the_cache(ready, monkeypatch, tmp_path):
    from mtlbench.tasks import two_pictures

    monkeypatch.setenv("MTLBENCH_CACHE", str(tmp_path / "cache"))
    dataset, data_dir = ready("multimnist")
    first = dataset.load(0, data_dir)
    two_pictures._load.cache_clear()
    monkeypatch.delattr(two_pictures, "_build")
    second = dataset.load(0, data_dir)
    assert second.digest == first.digest
    assert np.array_equal(second.test.sources, first.test.sources)


@pytest.mark.parametrize("name", ["census_income", "census_income:education", "tox21", "qm8"])
def test_a_dataset_that_takes_long_to_build_comes_from_the_cache_the_second_time(name, ready, tmp_path, monkeypatch):
    monkeypatch.setenv("MTLBENCH_CACHE", str(tmp_path / "cache"))
    dataset, data_dir = ready(name.partition(":")[0], **({"variant": "education"} if ":" in name else {}))
    built = dataset.load(0, data_dir)
    monkeypatch.setattr(type(dataset), "_build", None)
    again = dataset.load(0, data_dir)
    for one, two in ((built.train, again.train), (built.validation, again.validation), (built.test, again.test)):
        assert one.inputs.dtype == two.inputs.dtype
        assert torch.equal(one.inputs, two.inputs)
    assert again.digest == built.digest == Splits.of(again.train, again.validation, again.test).digest

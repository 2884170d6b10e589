"""Training a cell: what is written, when it is written again, and what failures become."""

from __future__ import annotations

import json
import random
import threading
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from filelock import FileLock

from mtlbench.errors import InputError
from mtlbench.runs import read
from mtlbench.training.cell import run_cell, run_seed

REPRODUCIBLE = ("run.json", "curves.csv", "audit.csv", "audit.npz")
EPOCHS, STEPS, TASKS = 4, 4, 3  # of the tiny dataset: 70 samples are 4 batches of 16


def contents(folder: Path) -> dict[str, bytes]:
    return {name: (folder / name).read_bytes() for name in REPRODUCIBLE if (folder / name).exists()}


def seed_folder(cell, runs: Path, seed: int = 0) -> Path:
    return runs / cell.folder / f"seed-{seed}"


@pytest.mark.parametrize("method", ["equal", "mgda", "mgda_ub", "unit_gradient", "single_task"])
def test_same_cell_same_bytes(method, tiny, tiny_cell, tmp_path):
    cell = tiny_cell(method)
    assert run_cell(cell, tmp_path / "one") == ["done"]
    # What happened before in the process must not matter.
    torch.rand(7)
    run_cell(tiny_cell("equal", seeds=(5,)), tmp_path / "other")
    assert run_cell(cell, tmp_path / "two") == ["done"]
    one, two = (contents(seed_folder(cell, tmp_path / name)) for name in ("one", "two"))
    assert one == two
    assert set(one) == set(REPRODUCIBLE if method != "single_task" else REPRODUCIBLE[:2])


def test_record_and_curves(tiny, tiny_cell, tmp_path):
    cell = tiny_cell("mgda", seeds=(0, 1), method_parameters={"solver": "frank_wolfe"})
    assert run_cell(cell, tmp_path) == ["done", "done"]
    record = read(seed_folder(cell, tmp_path, 1))
    assert record["seed"] == 1
    assert record["label"] == "mgda(solver=frank_wolfe)"
    assert record["options"]["solver"] == "frank_wolfe"
    assert record["backward_passes"] == 3
    assert record["epochs"] == EPOCHS
    assert record["metrics"]["b"] == {"error": {"higher_is_better": False, "unit": "square"}}
    assert set(record["test"]) == set(record["validation"]) == {"a", "b", "c"}
    assert record["provenance"]["threads"] == 1
    assert len(record["provenance"]["data"]) == len(record["provenance"]["code"]) == 64
    curves = pd.read_csv(seed_folder(cell, tmp_path, 1) / "curves.csv")
    assert list(curves.columns) == ["epoch", "split", "task", "metric", "value"]
    assert len(curves) == EPOCHS * TASKS * 3  # training loss, validation loss, validation error
    best = curves[(curves.epoch == record["best_epoch"]) & (curves.split == "validation")]
    for task, metrics in record["validation"].items():
        found = best[(best.task == task) & (best.metric == "error")].value.item()
        assert found == pytest.approx(metrics["error"], rel=1e-14)  # older pandas reads a CSV to an ulp
    timing = json.loads((seed_folder(cell, tmp_path, 1) / "run.time.json").read_text())
    assert len(timing["seconds_per_epoch"]) == EPOCHS


def test_methods_are_paired(tiny, tiny_cell, tmp_path):
    """Same initial network, batches, dropout and data: the first step is the same, the later ones are not."""
    cells = [tiny_cell("equal"), tiny_cell("mgda", method_parameters={"solver": "frank_wolfe"})]
    for cell in cells:
        run_cell(cell, tmp_path)
    first, second = (np.load(seed_folder(cell, tmp_path) / "audit.npz") for cell in cells)
    np.testing.assert_array_equal(first["gramians"][0], second["gramians"][0])
    assert not np.array_equal(first["gramians"][1], second["gramians"][1])


def test_seeds_differ(tiny, tiny_cell, tmp_path):
    cell = tiny_cell(seeds=(0, 1))
    run_cell(cell, tmp_path)
    first, second = (read(seed_folder(cell, tmp_path, seed)) for seed in (0, 1))
    assert first["test"] != second["test"]
    assert first["provenance"]["data"] != second["provenance"]["data"]


def test_single_task_is_training_with_that_task_alone(tiny, tiny_cell, tmp_path, monkeypatch):
    from mtlbench.training import cell as module

    everything = tiny_cell("single_task")
    run_cell(everything, tmp_path / "all")
    together = read(seed_folder(everything, tmp_path / "all"))
    assert together["audit"] is None
    groups = module.task_groups
    for index, task in enumerate("abc"):
        monkeypatch.setattr(module, "task_groups", lambda c, d, i=index: groups(c, d)[i : i + 1])
        run_cell(everything, tmp_path / task)
        alone = read(seed_folder(everything, tmp_path / task))
        assert alone["test"][task] == together["test"][task]
        assert alone["best_epochs"][task] == together["best_epochs"][task]


def test_done_runs_are_not_trained_again(tiny, tiny_cell, tmp_path):
    cell = tiny_cell(seeds=(0,))
    run_cell(cell, tmp_path)
    steps = tiny.batch_losses["a"]
    assert run_cell(cell, tmp_path) == ["done"]
    assert tiny.batch_losses["a"] == steps
    assert run_cell(tiny_cell(seeds=(0, 1)), tmp_path) == ["done", "done"]
    assert tiny.batch_losses["a"] == 2 * steps


@pytest.mark.parametrize("damage", ["cut", "missing curves", "cut curves", "incomplete", "epochs", "code"])
def test_a_run_that_is_not_whole_or_not_this_one_is_trained_again(damage, tiny, tiny_cell, tmp_path, monkeypatch):
    cell = tiny_cell()
    run_cell(cell, tmp_path)
    folder = seed_folder(cell, tmp_path)
    good = contents(folder)
    run = folder / "run.json"
    if damage == "cut":
        run.write_bytes(good["run.json"][:300])
    elif damage == "missing curves":
        (folder / "curves.csv").unlink()
    elif damage == "cut curves":
        (folder / "curves.csv").write_bytes(good["curves.csv"][:-9])
    elif damage == "incomplete":
        run.write_text(run.read_text().replace('"complete": true', '"complete": false'))
    elif damage == "epochs":
        run_cell(tiny_cell(epochs=1), tmp_path)
    else:
        with monkeypatch.context() as patch:
            patch.setattr("mtlbench.runs.code_digest", lambda cell: "0" * 64)
            run_cell(cell, tmp_path)
    assert contents(folder) != good
    assert run_cell(cell, tmp_path) == ["done"]
    assert contents(folder) == good


def test_nan_in_mid_training_is_recorded_and_tried_again(tiny, tiny_cell, tmp_path):
    tiny.nan_task, tiny.nan_at = "b", STEPS + 3
    cell = tiny_cell(seeds=(0, 1), audit_interval=2)
    assert run_cell(cell, tmp_path) == ["diverged", "done"]
    record = read(seed_folder(cell, tmp_path))
    assert record["status"] == "diverged"
    assert record["reason"] == "the loss of task 'b' is not finite at step 6 (epoch 2)"
    assert record["test"] == {}
    curves = pd.read_csv(seed_folder(cell, tmp_path) / "curves.csv")
    assert set(curves.epoch) == {1}
    tiny.nan_at = -1
    assert run_cell(cell, tmp_path) == ["done", "done"]
    assert read(seed_folder(cell, tmp_path))["reason"] is None


@pytest.mark.parametrize("method", ["equal", "mgda", "mgda_ub"])
def test_infinite_gradients_are_divergence_that_names_the_task(method, tiny, tiny_cell, tmp_path, monkeypatch):
    plain = tiny.loss

    def with_infinite_slope(name, function):
        inner = plain(name, function)
        if name != "a":
            return inner
        # |t - p|^0 has a finite value and, in autograd, the slope 0 * inf = NaN where t = p.
        return lambda output, target: inner(output, target) + (output - output.detach()).abs().sqrt().sum()

    monkeypatch.setattr(tiny, "loss", with_infinite_slope)
    cell = tiny_cell(method, audit_interval=0)
    assert run_cell(cell, tmp_path) == ["diverged"]
    reason = read(seed_folder(cell, tmp_path))["reason"]
    if method == "equal":
        # Nobody looks at the gradient of a weighted sum: it shows in the losses of the next step.
        assert reason == "the loss of task 'a' and 'b' and 'c' is not finite at step 1 (epoch 1)"
    else:
        assert reason == "the gradient of task 'a' is not finite at step 0 (epoch 1)"


def test_overflow_on_validation_is_divergence(tiny, tiny_cell, tmp_path):
    cell = tiny_cell(learning_rate=1e30, optimizer="sgd", audit_interval=0)
    assert run_cell(cell, tmp_path) == ["diverged"]
    assert "task" in read(seed_folder(cell, tmp_path))["reason"]


def test_an_exception_is_a_result_with_its_reason(tiny, tiny_cell, tmp_path, caplog):
    tiny.error_at = TASKS + 1
    cell = tiny_cell(seeds=(0, 1))
    assert run_cell(cell, tmp_path) == ["failed", "done"]
    assert read(seed_folder(cell, tmp_path))["reason"] == "ZeroDivisionError: an error for the test"
    assert "Traceback" in caplog.text
    assert run_cell(cell, tmp_path) == ["done", "done"]


@pytest.mark.parametrize("method", ["equal", "mgda", "single_task"])
def test_an_interrupted_run_goes_on_with_the_same_bytes(method, tiny, tiny_cell, tmp_path):
    cell = tiny_cell(method)
    run_cell(cell, tmp_path / "whole")
    steps = tiny.batch_losses["c"]
    tiny.judged.clear()
    # In the validation after the third epoch (single_task: of its second task).
    tiny.interrupt_at = 2 * TASKS + 2 if method != "single_task" else EPOCHS + 3
    with pytest.raises(KeyboardInterrupt):
        run_cell(cell, tmp_path / "cut", checkpoint_seconds=0)
    folder = seed_folder(cell, tmp_path / "cut")
    assert list(folder.glob("mtlbench-checkpoint-*.pt"))
    assert not (folder / "run.json").exists()
    tiny.batch_losses.clear()
    assert run_cell(cell, tmp_path / "cut") == ["done"]
    assert contents(folder) == contents(seed_folder(cell, tmp_path / "whole"))
    assert not list(folder.glob("mtlbench-checkpoint-*.pt"))
    if method != "single_task":
        assert tiny.batch_losses["c"] == steps // 2


def test_a_damaged_or_foreign_checkpoint_is_ignored_with_a_note(tiny, tiny_cell, tmp_path, caplog):
    cell = tiny_cell()
    run_cell(cell, tmp_path / "whole")
    folder = seed_folder(cell, tmp_path / "cut")
    folder.mkdir(parents=True)
    (folder / "mtlbench-checkpoint-all.pt").write_bytes(b"not a checkpoint")
    assert run_cell(cell, tmp_path / "cut") == ["done"]
    assert "is damaged (UnpicklingError) and ignored" in caplog.text
    assert contents(folder) == contents(seed_folder(cell, tmp_path / "whole"))
    tiny.judged.clear()
    tiny.interrupt_at = 2 * TASKS + 1
    other = tiny_cell(learning_rate=0.5)
    with pytest.raises(KeyboardInterrupt):
        run_cell(other, tmp_path / "cut", checkpoint_seconds=0)
    (folder / "run.json").unlink()
    assert run_cell(cell, tmp_path / "cut") == ["done"]
    assert "belongs to another configuration" in caplog.text
    assert contents(folder) == contents(seed_folder(cell, tmp_path / "whole"))


def test_small_runs_write_no_checkpoint(tiny, tiny_cell, tmp_path, monkeypatch):
    monkeypatch.setattr("mtlbench.training.checkpoint.save", lambda *_: pytest.fail("a checkpoint was written"))
    assert run_cell(tiny_cell(), tmp_path) == ["done"]


@pytest.mark.parametrize("method", ["mgda", "single_task"])
def test_the_test_split_is_read_once(method, tiny, tiny_cell, tmp_path):
    run_cell(tiny_cell(method), tmp_path)
    assert tiny.judged[31] == EPOCHS * TASKS
    assert tiny.judged[29] == TASKS


def test_the_test_split_is_read_with_the_weights_of_the_chosen_epoch(tiny, tiny_cell, tmp_path):
    """Stopping at the chosen epoch gives the same test results."""
    cell = tiny_cell(learning_rate=0.3, epochs=8)
    run_cell(cell, tmp_path)
    long = read(seed_folder(cell, tmp_path))
    assert long["best_epoch"] < 8
    short_cell = tiny_cell(learning_rate=0.3, epochs=long["best_epoch"])
    run_cell(short_cell, tmp_path / "short")
    assert read(seed_folder(short_cell, tmp_path / "short"))["test"] == long["test"]


def test_the_global_state_is_left_alone(tiny, tiny_cell, tmp_path):
    torch.manual_seed(1)
    before = torch.get_rng_state(), np.random.get_state()[1].tolist(), random.getstate()  # noqa: NPY002
    threads, precision = torch.get_num_threads(), torch.get_float32_matmul_precision()
    run_cell(tiny_cell("mgda", threads=1), tmp_path)
    run_cell(tiny_cell("single_task"), tmp_path)
    assert torch.equal(torch.get_rng_state(), before[0])
    assert np.random.get_state()[1].tolist() == before[1]  # noqa: NPY002
    assert random.getstate() == before[2]
    assert (torch.get_num_threads(), torch.get_float32_matmul_precision()) == (threads, precision)
    assert not torch.are_deterministic_algorithms_enabled()


def test_bfloat16_trains_and_differs(tiny, tiny_cell, tmp_path):
    full, half = tiny_cell(), tiny_cell(precision="bf16")
    run_cell(full, tmp_path / "full")
    assert run_cell(half, tmp_path / "half") == ["done"]
    results = [read(seed_folder(c, tmp_path / n))["test"]["b"]["error"] for c, n in ((full, "full"), (half, "half"))]
    assert results[0] != results[1]
    assert results[0] == pytest.approx(results[1], rel=0.2)


def test_wrong_input_is_said_before_anything_is_written(tiny, tiny_cell, tmp_path):
    with pytest.raises(InputError, match="batch_size is 200, but the training split has 70 samples"):
        run_cell(tiny_cell(batch_size=200), tmp_path)
    with pytest.raises(InputError, match="static"):
        run_cell(tiny_cell("static", method_parameters={"weights": [1.0, 2.0]}), tmp_path)
    assert not list(tmp_path.rglob("run.json"))
    blocked = tmp_path / "file"
    blocked.write_text("")
    with pytest.raises(InputError, match="cannot write to the folder"):
        run_cell(tiny_cell(), blocked)


def test_run_seed_writes_into_the_folder_it_is_given(tiny, tiny_cell, tmp_path):
    record = run_seed(tiny_cell(seeds=(3,)), 3, tmp_path / "here")
    assert record == read(tmp_path / "here")
    assert record["seed"] == 3


def test_progress_is_one_line_per_run_where_there_is_no_terminal(tiny, tiny_cell, tmp_path, capsys):
    run_cell(tiny_cell(seeds=(0, 1)), tmp_path, progress=True)
    lines = capsys.readouterr().err.strip().splitlines()
    assert [line.split(":")[0] for line in lines] == ["tiny equal seed 0", "tiny equal seed 1"]
    assert "test a error" in lines[0]
    run_cell(tiny_cell(seeds=(0, 2)), tmp_path)
    assert capsys.readouterr().err == ""


def test_a_second_process_waits_and_finds_the_work_done(tiny, tiny_cell, tmp_path, caplog):
    cell = tiny_cell()
    run_cell(cell, tmp_path)
    steps = tiny.batch_losses["a"]
    statuses = []
    second = threading.Thread(target=lambda: statuses.extend(run_cell(cell, tmp_path)))
    with FileLock(tmp_path / cell.folder / ".lock"):
        second.start()
        second.join(timeout=0.3)
        assert second.is_alive()
    second.join(timeout=60)
    assert statuses == ["done"]
    assert "is being worked on by another process: waiting" in caplog.text
    assert tiny.batch_losses["a"] == steps

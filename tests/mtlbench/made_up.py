"""A results folder made up from known numbers, as the pipeline would leave it: for the tests of tables and reports."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from mtlbench import methods

SCRIPT = "<script>alert(1)</script>"
SEEDS = (0, 1, 2)
# Effect of each method on a metric relative to single-task networks; +0.1 is 10 % worse.
METHODS = {
    "single_task": 0.0,
    "equal": 0.05,
    "mgda": -0.04,
    "mgda(solver=frank_wolfe)": -0.035,
    "unit_gradient": 0.3,
    SCRIPT: 0.052,
}
DATASETS: dict[str, dict[str, dict[str, tuple[float, bool, str]]]] = {
    # task: {metric: (level of single-task networks, higher is better, unit)}
    "digits": {
        "left": {"accuracy": (0.9, True, ""), "nll": (0.4, False, "nat")},
        "right": {"accuracy": (0.85, True, ""), "nll": (0.5, False, "nat")},
    },
    "scales": {f"task_{k}": {"mse": (10.0**k, False, "")} for k in range(3)},
}


def build_results(folder: Path, methods: dict[str, float] = METHODS, seeds: tuple[int, ...] = SEEDS) -> Path:
    """Write runs, cost and a verdict as the pipeline does; ``unit_gradient`` diverges once, on ``digits``."""
    for dataset, tasks in DATASETS.items():
        for index, (label, effect) in enumerate(methods.items()):
            for seed in seeds:
                _write_run(folder, dataset, tasks, label=label, index=index, effect=effect, seed=seed)
    _write_cost(folder, methods)
    _write_verdict(folder / "solvers")
    return folder


def _write_run(
    folder: Path, dataset: str, tasks: dict[str, Any], *, label: str, index: int, effect: float, seed: int
) -> None:
    target = folder / "runs" / dataset / "hard_sharing" / f"method-{index}" / f"seed-{seed}"
    target.mkdir(parents=True)
    rng = np.random.default_rng([seed, len(dataset)])  # the same noise for every method: paired
    own = np.random.default_rng([seed, index])
    diverged = label == "unit_gradient" and dataset == "digits" and seed == 1
    method = label.partition("(")[0] if label != SCRIPT else "custom"
    test: dict[str, dict[str, float]] = {}
    curve = []
    for task, metrics in tasks.items():
        for metric, (level, higher, _) in metrics.items():
            sign = -1 if higher else 1
            value = level * (1 + sign * effect + 0.01 * rng.normal() + 0.002 * own.normal())
            test.setdefault(task, {})[metric] = value
            for epoch in range(1, 9 if not diverged else 4):
                start = 0.3 if higher else 3.0
                at = value * (1 + (start - 1) * np.exp(-epoch / 2))
                curve += [(epoch, split, task, metric, at) for split in ("train", "validation")]
    audited = label != "single_task"
    inner = label.startswith("mgda")
    audit = {
        "interval": 10,
        "steps": 16,
        "conflict_rate": 0.4 + 0.05 * own.normal(),
        "noise_floor": 0.2,
        "excess_conflict": 0.15 + 0.05 * own.normal(),
        "update_conflict_rate": 0.25,
        "predicted_rise_rate": 0.375,
        "realised_rise_rate": 0.5,
        "smallest_cosine": -0.4,
        "worst_gap": 1e-13 * (index + 1) * (seed + 1) if inner else None,
        "median_stationarity": 0.1,
        "zero_task_events": 0,
        "inner_solves": 160 if inner else 0,
        "inner_solves_outside": 7 * (method != label) if inner else 0,
    }
    run = {
        "benchmark": folder.name,
        "dataset": dataset,
        "dataset_parameters": {},
        "architecture": "hard_sharing",
        "method": method,
        "method_parameters": {"solver": "frank_wolfe"} if "(" in label and inner else {},
        "label": label,
        "seed": seed,
        "epochs": 8,
        "status": "diverged" if diverged else "done",
        "reason": "the loss of task 'left' is nan at step 31" if diverged else None,
        "best_epoch": None if diverged else 7,
        "validation": {} if diverged else test,
        "test": {} if diverged else test,
        "metrics": {
            task: {name: {"higher_is_better": h, "unit": u} for name, (_, h, u) in metrics.items()}
            for task, metrics in tasks.items()
        },
        "audit": audit if audited else None,
        "options": methods.get(method).options() if method in methods.names() else {},
        "backward_passes": len(tasks) if inner else 1,
        "configuration": {"dataset": dataset, "epochs": 8, "seeds": list(SEEDS)},
        "provenance": {"commit": "0123456789abcdef", "dirty": False, "torch": "2.13.0", "cpu": "a processor"},
        "complete": True,
    }
    (target / "run.json").write_text(json.dumps(run))
    pd.DataFrame(curve, columns=["epoch", "split", "task", "metric", "value"]).to_csv(
        target / "curves.csv", index=False
    )
    (target / "run.time.json").write_text(json.dumps({"started": f"2026-01-0{seed + 1}T10:00:00", "seconds": 3}))
    if audited:
        steps = np.arange(0, 160, 10)
        frame = pd.DataFrame({"step": steps, "epoch": steps // 20 + 1})
        frame["conflict"] = np.clip(0.5 + 0.2 * own.normal(size=16), 0, 1)
        frame["same_task_conflict"] = np.clip(0.2 + 0.01 * steps / 16 + 0.05 * own.normal(size=16), 0, 1)
        frame["cross_half_conflict"] = np.clip(0.5 + 0.1 * own.normal(size=16), 0, 1)
        frame["smallest_product"], frame["smallest_cosine"] = -1.0, -0.3
        frame["relative_gap"], frame["stationarity"] = 1e-14, 0.2
        frame.to_csv(target / "audit.csv", index=False)


def _write_cost(folder: Path, methods: dict[str, float]) -> None:
    rows = [
        {
            "dataset": dataset,
            "architecture": "hard_sharing",
            "setting": "",
            "label": label,
            "method": label.partition("(")[0],
            "seconds_per_step_median": 0.002 * (index + 1),
            "seconds_per_step_q25": 0.0019 * (index + 1),
            "seconds_per_step_q75": 0.0021 * (index + 1),
            "steps": 30,
            "trunk_backward_passes": 1,
            "peak_memory_mib": 300.0 + index,
            "peak_gpu_memory_mib": 0.0,
            "device": "cpu",
        }
        for dataset in DATASETS
        for index, label in enumerate(methods)
    ]
    pd.DataFrame(rows).to_csv(folder / "cost.csv", index=False)


def _write_verdict(folder: Path) -> None:
    folder.mkdir()
    names, families = ("active_set", "exact", "frank_wolfe"), ("gaussian", "norms_1_to_1e3", "recorded")
    promise = {"promise": "theory bound", "checked": 40, "broken": 0, "worst": 0.4, "detail": ""}
    verdict = {
        "passed": True,
        "algorithms": {
            name: {
                "passed": True,
                "problems": 30,
                "promises": [{**promise, "family": family} for family in families],
            }
            for name in names
        },
        "families": {family: {"problems": 10} for family in families},
        "environment": {},
    }
    (folder / "verdict.json").write_text(json.dumps(verdict))
    rng = np.random.default_rng(0)
    rows = [
        (f, 8, p, a, 12, True, 1e-13 * rng.random(), 1e-13, 1e-7) for a in names for f in families for p in range(4)
    ]
    iterations = [1, 2, 5, 10, 20, 50]
    traces = [(f, 8, a, i, 1 / i, 0.5 / i, 2 / i) for a in names for f in families for i in iterations]
    head = ["family", "size", "algorithm", "iteration"]
    frame = pd.DataFrame(traces, columns=[*head, "relative_gap", "objective_error", "bound"])
    frame.to_csv(folder / "traces.csv", index=False)
    frame[head].assign(seconds=1e-5 * frame["iteration"]).to_csv(folder / "traces.time.csv", index=False)
    columns = ["family", "size", "problem", "algorithm", "iterations", "converged"]
    columns += ["relative_gap", "objective_error", "direction_distance"]
    pd.DataFrame(rows, columns=columns).to_csv(folder / "accuracy.csv", index=False)
    times = [(a, f, k, 1.5 * k, 1e-12) for a in names for f in families for k in (2, 16)]
    columns = ["algorithm", "family", "size", "median_us", "relative_gap"]
    pd.DataFrame(times, columns=columns).to_csv(folder / "timing.csv", index=False)


def trials(results: Path) -> pd.DataFrame:
    """Three trials of every label in ``results``; the first is chosen, and mgda's lies at the edge everywhere."""
    runs = pd.read_csv(results / "cost.csv")[["dataset", "label"]]
    rows = [
        {
            "dataset": dataset,
            "architecture": "hard_sharing",
            "track": "out_of_the_box",
            "setting": "",
            "label": label,
            "trial": trial,
            "learning_rate": 10.0**-trial,
            "weight_decay": 1e-4,
            "parameters": json.dumps({"alpha": 0.5 * trial} if trial else {}),
            "seeds": 1,
            "status": "diverged" if trial == 2 and label == "unit_gradient" else "done",
            "score": np.nan if trial == 2 and label == "unit_gradient" else float(trial),
            "chosen": trial == 0,
            "edge": "learning_rate low" if label == "mgda" and trial == 0 else "",
        }
        for dataset, label in runs.itertuples(index=False)
        for trial in range(3)
    ]
    return pd.DataFrame(rows)

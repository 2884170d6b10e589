"""A card as text, and many cards as one Markdown table."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from mtlbench.cards.card import witness_sentence
from mtlbench.catalogue import table

Card = Mapping[str, Any]


def text(card: Card) -> str:
    """The whole card, for a terminal."""
    parts = (_title, _agreement, _behaviour, _conflict, _special, _cost, _verdict)
    return "\n\n".join(filter(None, (part(card) for part in parts)))


def _title(card: Card) -> str:
    traits = {"random": "draws from the global random generators", "remembers": "depends on earlier calls"}
    options = ", ".join(f"{key}={value}" for key, value in card["options"].items())
    name = card["subject"] + (f"({options})" if options else "")
    package = f" of {card['package']}" if card["package"] else ""
    takes = "is a Method" if card["takes"] == "method" else f"takes a {card['takes'].capitalize()} in {card['arrays']}"
    return ", ".join([f"{name}{package}: {takes}", *(words for trait, words in traits.items() if card[trait])])


def _agreement(card: Card) -> str:
    found = card["agreement"]
    if not found or "omitted" in found:
        return found.get("omitted", "")
    rows = []
    for name, entry in found.items():
        rows.append([name, *_counts(entry), entry["where"] or ""])
        rows += [[f"  {family}", *_counts(part), part["where"] or ""] for family, part in entry["families"].items()]
        rows.append(["  stationary points", *_counts(entry["stationary"]), entry["stationary"]["where"] or ""])
    head = ["relative error of the direction", "problems", "agree", "median", "worst", "where"]
    notes = [f"u is {_factors(entry)} times that of {name}" for name, entry in found.items() if _factors(entry)]
    return "\n".join([f"claims {card['claims']}", *_table([head, *rows]), *notes])


def _counts(entry: Mapping[str, Any]) -> list[str]:
    return [str(entry["compared"]), str(entry["within"]), _number(entry["median"]), _number(entry["worst"])]


def _factors(entry: Mapping[str, Any]) -> str:
    found = {tasks: factor for tasks, factor in entry["factors"].items() if factor != 1}
    return ", ".join(f"{factor:.4g} (K = {tasks})" for tasks, factor in found.items())


def _behaviour(card: Card) -> str:
    found = card["scaling"]
    if "failed" in found:
        return f"scaling and order: not measured, it {found['failed']}"
    common, task, order = found["common"], found["task"], found["permutation"]
    law = f"u(cJ) = c^{common['degree']:g} u(J)" if common["holds"] else "no law"
    lines = [f"all losses times c:   {law}, worst error {_number(common['error'])} ({common['where']})"]
    errors = ", ".join(f"{name} {_number(entry['error'])}" for name, entry in task["errors"].items())
    lines.append(f"each loss times c_i:  {task['law']} (worst errors: {errors})")
    if order:
        follows = "u stays" if order["holds"] else f"u changes ({order['where']})"
        lines.append(f"tasks in another order: {follows}, worst error {_number(order['error'])}")
    return "\n".join(lines)


def _conflict(card: Card) -> str:
    found = card["conflict"]
    cosine = _number(found["smallest_cosine"])
    lines = [f"conflicts: {found['conflicts']} of {found['judged']}, smallest cosine {cosine} ({found['where']})"]
    witness = found["witness"]
    lines.append(witness_sentence(witness) if witness else f"no witness among {found['tried']} integer Jacobians")
    return "\n".join(lines)


def _special(card: Card) -> str:
    ours = card["claims"] is not None
    rows = [[name, entry["answer"], *([entry["ours"]] if ours else [])] for name, entry in card["special"].items()]
    return "\n".join(_table([["special tasks, (3, 4) first", "answer", *([card["claims"]] if ours else [])], *rows]))


def _cost(card: Card) -> str:
    rows = []
    for row in card["cost"]:
        ours = [] if row["ours"] is None else [f"{row['ours']:.0f}"]
        rows.append([str(row["tasks"]), _time(row), *ours])
    ours = [] if card["cost"][0]["ours"] is None else ["ours"]
    return "\n".join(_table([["K", "microseconds a call", *ours], *rows]))


def _time(row: Mapping[str, Any]) -> str:
    return row["failed"] if row["microseconds"] is None else f"{row['microseconds']:.0f}"


def _verdict(card: Card) -> str:
    broken = [entry["promise"] for entry in card["promises"] if entry["broken"]]
    if not broken:
        return "every promise is kept: " + ", ".join(dict.fromkeys(entry["promise"] for entry in card["promises"]))
    return "\n".join(["broken promises", *(f"  {_sentence(card, name)}" for name in dict.fromkeys(broken))])


def _sentence(card: Card, promise: str) -> str:
    """One promise over all families, and its worst breach."""
    entries = [entry for entry in card["promises"] if entry["promise"] == promise]
    broken, checked = (sum(entry[count] for entry in entries) for count in ("broken", "checked"))
    worst = max((e for e in entries if e["broken"]), key=lambda e: np.inf if e["worst"] is None else e["worst"])
    return f"{promise} ({broken} of {checked} broken): {worst['detail']}"


def _table(rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(len(row[column]) for row in rows if column < len(row)) for column in range(len(rows[0]))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=False)).rstrip() for row in rows]


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.2g}"


HEAD = (
    "implementation",
    "version",
    "claims",
    "agree",
    "median error",
    "worst error",
    "smallest cosine",
    "all losses times c",
    "each loss times c_i",
    "µs at K = 2, 8, 32",
    "broken promises",
)


def markdown(cards: Iterable[Card]) -> str:
    """One row per card."""
    return table(HEAD, [_row(card) for card in cards]) + "\n"


def _row(card: Card) -> tuple[str, ...]:
    agreement = card["agreement"].get("ours")
    scaling = card["scaling"]
    options = ", ".join(f"{key}={value}" for key, value in card["options"].items())
    broken = dict.fromkeys(entry["promise"] for entry in card["promises"] if entry["broken"])
    return (
        f"`{card['subject']}{f'({options})' if options else ''}`",
        card["package"],
        card["claims"] or "",
        f"{agreement['within']} of {agreement['compared']}" if agreement else "",
        _number(agreement["median"]) if agreement else "",
        _number(agreement["worst"]) if agreement else "",
        _number(card["conflict"]["smallest_cosine"]),
        f"c^{scaling['common']['degree']:g}" if "common" in scaling and scaling["common"]["holds"] else "no law",
        scaling["task"]["law"] if "task" in scaling else "",
        ", ".join(_time(row) for row in card["cost"]),
        "; ".join(broken) or "none",
    )

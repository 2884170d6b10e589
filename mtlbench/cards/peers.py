"""The peers' implementations that are installed, and their cards beside one another.

The table below says what each is called, what it is made with, and which of our methods it claims to be; a claim counts
where that method is there. Adding a peer is adding a line.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from mtlbench import methods
from mtlbench.cards import agreement, subject
from mtlbench.cards.card import Settings, card
from mtlbench.cards.text import markdown
from mtlbench.errors import InputError
from mtlbench.files import write_atomically, write_json

TABLE = "cards.md"
SETTINGS = Settings()


@dataclass(frozen=True)
class Peer:
    """One implementation: ``package.module:name``, the method it claims to be, and the options of both."""

    specification: str
    claims: str
    options: Mapping[str, Any] = field(default_factory=dict)
    claims_options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def package(self) -> str:
        return self.specification.partition(":")[0].partition(".")[0]

    @property
    def file(self) -> str:
        """The name of its files: ``torchjd.aggregation.MGDA``."""
        return re.sub(r"[^A-Za-z0-9_.]", ".", self.specification)


PEERS = (
    Peer("torchjd.aggregation:Mean", "equal"),
    Peer("torchjd.aggregation:MGDA", "mgda"),
    Peer("torchjd.aggregation:UPGrad", "upgrad"),
    Peer("torchjd.aggregation:DualProj", "dualproj"),
    Peer("torchjd.aggregation:CAGrad", "cagrad", {"c": 0.4}),
    Peer("torchjd.aggregation:NashMTL", "nash_mtl", {"n_tasks": subject.TASKS}),
    Peer("torchjd.aggregation:FairGrad", "fairgrad", {"alpha": 2.0}),
    Peer("torchjd.aggregation:IMTLG", "imtl_g"),
    Peer("torchjd.aggregation:AlignedMTL", "aligned_mtl"),
    Peer("torchjd.aggregation:ConFIG", "config"),
    Peer("torchjd.aggregation:PCGrad", "pcgrad"),
    Peer("torchjd.aggregation:GradVac", "gradvac"),
    Peer("torchjd.aggregation:GradDrop", "graddrop"),
)


def installed() -> dict[str, str]:
    """The packages of the peers that can be imported here, and their versions."""
    here = sorted({peer.package for peer in PEERS if find_spec(peer.package)})
    return {package: metadata.version(package) for package in here}


def write(folder: Path) -> Path:
    """Write into ``folder`` one JSON file per installed peer, its times apart, and the table over all.

    One that cannot be made, for want of a package of its own, is named below the table with the reason.
    """
    here = installed()
    cards, missing = [], []
    for peer in PEERS:
        if peer.package not in here:
            continue
        try:
            made = _card(peer)
        except InputError as error:
            missing.append(f"- {error}")
            continue
        cards.append(made)
        write_json(folder / f"{peer.file}.json", {key: value for key, value in made.items() if key != "cost"})
        write_json(folder / f"{peer.file}.time.json", made["cost"])
    absent = sorted({peer.package for peer in PEERS} - here.keys())
    missing += [f"- {package} is not installed: pip install {package}" for package in absent]
    versions = ", ".join(f"{package} {version}" for package, version in here.items()) or "none"
    parts = [f"# Cards of other implementations\n\nInstalled: {versions}.\n", markdown(cards)]
    if missing:
        parts.append("No card:\n\n" + "\n".join(missing) + "\n")
    write_atomically(folder / TABLE, "\n".join(parts))
    return folder / TABLE


def _card(peer: Peer) -> dict[str, Any]:
    known = peer.claims in methods.names()
    claim = agreement.claim(peer.claims, peer.claims_options) if known else None
    return card(subject.find(peer.specification, options=peer.options), claim, SETTINGS)

"""A message-passing network for molecules, on atoms padded to one number and no library of graphs.

The network of the multi-task papers on QM9: J. Gilmer et al. Neural message passing for quantum chemistry. ICML 2017,
with continuous edge features, a gated unit as update, and Set2Set as readout (O. Vinyals, S. Bengio, M. Kudlur. Order
matters: sequence to sequence for sets. ICLR 2016).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


class EdgeConvolution(nn.Module):
    """``m_i = W h_i + mean over j ≠ i of A(e_ij) h_j + b``, A(e) a matrix that a two-layer network makes of e.

    The second layer is linear, ``A(e) = Σ_k φ_k(e) W_k``, so that ``Σ_j A(e_ij) h_j = Σ_k W_k Σ_j φ_k(e_ij) h_j``: the
    sum over j comes first, and no matrix is ever made for an edge.
    """

    def __init__(self, width: int, edge_features: int, hidden: int = 128) -> None:
        super().__init__()
        self.edges = nn.Sequential(nn.Linear(edge_features, hidden), nn.ReLU())
        self.matrices = nn.Linear(hidden * width, width, bias=False)
        self.constant = nn.Linear(width, width, bias=False)  # A's own bias: the matrix of an edge without features
        self.own = nn.Linear(width, width)

    def forward(self, nodes: Tensor, edges: Tensor, linked: Tensor) -> Tensor:
        """``nodes`` (batch, n, width), ``edges`` (batch, n, n, features), ``linked`` (batch, n, n): 1 or 0."""
        share = linked / linked.sum(dim=2, keepdim=True).clamp(min=1)
        weighted = self.edges(edges) * share.unsqueeze(3)
        sums = torch.einsum("bijk,bjd->bikd", weighted, nodes).flatten(2)
        return self.own(nodes) + self.matrices(sums) + self.constant(share @ nodes)


class Set2Set(nn.Module):
    """A sum over the atoms whose weights come from several looks at them: (batch, n, width) to (batch, 2 width)."""

    def __init__(self, width: int, looks: int = 3) -> None:
        super().__init__()
        self.looks = looks
        self.memory = nn.LSTMCell(2 * width, width)

    def forward(self, nodes: Tensor, real: Tensor) -> Tensor:
        """``real`` (batch, n) is True for atoms and False for padding."""
        found = nodes.new_zeros(len(nodes), 2 * nodes.shape[2])
        state = None
        for _ in range(self.looks):
            query, cell = self.memory(found, state)
            state = query, cell
            attention = torch.einsum("bnd,bd->bn", nodes, query).masked_fill(~real, -torch.inf).softmax(dim=1)
            found = torch.cat([query, torch.einsum("bn,bnd->bd", attention, nodes)], dim=1)
        return found


class MessagePassing(nn.Module):
    """Node features, edge features and which atoms are real to (batch, width); every pair of atoms is an edge."""

    def __init__(self, node_features: int, edge_features: int, width: int, rounds: int = 3) -> None:
        super().__init__()
        self.rounds = rounds
        self.first = nn.Linear(node_features, width)
        self.convolution = EdgeConvolution(width, edge_features)
        self.update = nn.GRUCell(width, width)
        self.readout = Set2Set(width)
        self.last = nn.Linear(2 * width, width)

    def forward(self, features: Tensor, edges: Tensor, real: Tensor) -> Tensor:
        count, size = real.shape
        linked = (
            real.unsqueeze(1) & real.unsqueeze(2) & ~torch.eye(size, dtype=torch.bool, device=real.device)
        ).float()
        nodes = self.first(features).relu()
        for _ in range(self.rounds):
            message = self.convolution(nodes, edges, linked).relu()
            nodes = self.update(message.flatten(0, 1), nodes.flatten(0, 1)).view(count, size, -1)
        return self.last(self.readout(nodes, real)).relu()

"""The dual cone problem: project Jᵀp onto {u : Ju >= 0}, the directions in which no task conflicts.

With the task gradients g_i as rows of J, G = J Jᵀ and a preference p, the projection is u = Jᵀv where v minimises
½ vᵀGv over v >= p. Optimal, and the only certificate there is:

    v >= p,   Gv >= 0,   (v − p)ᵀGv = 0.

p = (1/K, ..., 1/K) is DualProj, p = e_0 is GEM (task 0 primary, the others auxiliary), the rows p_i e_i are UPGrad.
u is unique; the multipliers v − p are unique where the gradients with <g_i, u> = 0 that bear them are independent.
p may have negative entries: the statement does not need p >= 0, and a task that p pushes uphill is pushed back.

Scaled without rounding: C = D⁻¹ G D⁻¹ with D = diag(s_i), s_i the power of two next to √G_ii, and y = Dv, q = Dp, each
row of preferences in a power of two of its own as unit. So multiplying a row of J or of p by a power of two changes
nothing, and "unit diagonal" is meant up to a factor in [¼, 1).

``gap``, the residual of a row, is scale-free, the largest of
    max_i (p_i − v_i)₊ / max(1, max |v_i|),   max_i (−(Gv)_i)₊ / (d_i ‖Jᵀp‖),   |(v − p)ᵀGv| / ‖Jᵀp‖²,
with ‖Jᵀp‖² = pᵀGp, and sums in twice the precision of float64. A task with d_i = √G_ii = 0 has no second term. Where
pᵀGp <= 0 the projection is u = 0, v = p; any other v is measured by ‖Jᵀv‖ / Σ |v_i| d_i.

Source: D. Lopez-Paz & M. Ranzato, arXiv 1706.08840 (GEM, equation 11); P. Quinton & V. Rey, arXiv 2406.16232 (UPGrad).
"""

from __future__ import annotations

from math import frexp, ldexp, sqrt
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..compiled import FLOAT64, added, compiled, dot, multiplied, plain
from ..gramian import Array, as_gramian, unit_diagonal
from ..solution import Solution

Integers = NDArray[np.int64]

EPS = 2.0**-52
CAP = 2.0**-26
"""√eps: see :func:`tolerated_gap`."""


class Subject(NamedTuple):
    """What an algorithm gets, y = Dv in the unit of its row: v_i = 2^(unit − e_i) y_i.

    cosines: C (K, K). roots: √C_ii. exponents: e_i with s_i = 2^e_i. starts: q, one row for each row of preferences.
    units: the exponent of each row's unit. squares: qᵀCq of each row. exponent: C = 2^(−exponent) D⁻¹ G D⁻¹.
    """

    cosines: Array
    roots: Array
    exponents: Integers
    starts: Array
    units: Integers
    squares: Array
    exponent: int


class Problem:
    """One Gramian, preferences and a tolerance, as the driver takes them; raises like :func:`certificate`.

    ``rows``: whether the preference is a matrix; the weights have its shape.
    """

    exponent = 0  # no algorithm of this room has an option with a unit

    def __init__(self, gramian: Any, tolerance: float, preference: Any = None) -> None:
        self.gramian = as_gramian(gramian)
        self.tolerance = tolerance
        given = as_preference(preference, len(self.gramian))
        self.rows = given.ndim == 2
        self.preference = plain(np.atleast_2d(given))
        self.subject = Subject(*scaled(plain(self.gramian), self.preference))

    def row(self, r: int) -> Problem:
        """The problem of one row of preferences."""
        return Problem(self.gramian, self.tolerance, self.preference[r])

    def decided(self, closed_form: bool) -> Array | None:
        """v = p where Jᵀp = 0 in every row: the projection is 0 itself."""
        return self._shaped(self.preference.copy()) if not (self.subject.squares > 0.0).any() else None

    def products(self, weights: Array) -> Array:
        """Cy; for one row of preferences, as the iterative algorithms take them."""
        return self.subject.cosines @ scaled_weights(self.subject, weights)

    def gap(self, weights: Array, products: Array) -> float:
        """The residual in float64."""
        _, roots, _, starts, _, squares, _ = self.subject
        multipliers = scaled_weights(self.subject, weights) - starts[0]
        norm = sqrt(squares[0])
        conflict = float((-products / np.where(roots > 0.0, roots, 1.0)).max()) / norm
        missing = float((self.preference[0] - weights).max()) / max(1.0, float(np.abs(weights).max()))
        return max(conflict, missing, abs(float(multipliers @ products)) / squares[0])

    def promising(self, weights: Array, gap: float) -> bool:
        """Whether the gap is within the tolerance but for its rounding, K eps Σ |v_i| d_i / ‖Jᵀp‖ and twice that."""
        y = np.abs(scaled_weights(self.subject, weights)) @ self.subject.roots
        return bool(gap <= self.tolerance + 4.0 * len(weights) * EPS * y / sqrt(self.subject.squares[0]))

    def judged(self, weights: Array, iterations: int) -> Solution:
        """The weights, their worst residual, and whether every row is within its own tolerance.

        An algorithm that takes all rows at once returns a matrix for a single one too.
        """
        weights = weights if self.rows or weights.ndim == 1 else weights[0]
        gaps, spreads, _, non_conflicting = self._measured(weights)
        converged = bool((gaps <= self.tolerance + rounding(spreads)).all())
        if not converged:
            # The eigenvalues are asked only here: most Gramians never need them.
            converged = bool((gaps <= self.tolerated(weights)).all())
        return Solution(weights, float(gaps.max()), iterations, converged, non_conflicting)

    def objective(self, weights: Array) -> float:
        """½ vᵀGv, summed over the rows."""
        values = self._measured(weights)[2]
        return float(
            sum(ldexp(h, self.subject.exponent + 2 * int(u)) for h, u in zip(values, self.subject.units, strict=True))
            / 2
        )

    def tolerated(self, weights: Array) -> Array:
        """The tolerated gap of each row."""
        _, spreads, _, _ = self._measured(weights)
        return self.tolerance + rounding(spreads) + indefiniteness(self.gramian) * (1.0 + spreads[:, 2])

    def _measured(self, weights: Array) -> tuple[Array, Array, Array, bool]:
        return measured(*self.subject[:6], self.preference, plain(np.atleast_2d(weights)))

    def _shaped(self, weights: Array) -> Array:
        return weights if self.rows else weights[0]


def certificate(gramian: Any, weights: Any, preference: Any = None) -> float:
    """The residual of ``weights``, scale-free and >= 0; of a matrix of rows the largest.

    preference: (K,), or (R, K) with one row of weights for each; ``None`` is the mean, 1/K for every task.
    Computed in extended precision from these arguments alone.
    Raises :class:`~mtlbench.solvers.InvalidGramian`, and :class:`ValueError` for weights or preferences of another
    shape or not finite.
    """
    problem = Problem(gramian, 0.0, preference)
    return float(problem._measured(as_weights(weights, problem))[0].max())


def objective(gramian: Any, weights: Any, preference: Any = None) -> float:
    """½ vᵀGv = ½‖u‖², in the unit of ``gramian``, in extended precision; summed over the rows of a matrix.

    Raises like the certificate.
    """
    problem = Problem(gramian, 0.0, preference)
    return problem.objective(as_weights(weights, problem))


def tolerated_gap(gramian: Any, tolerance: float = 1e-11, preference: Any = None, weights: Any = None) -> float:
    """The largest residual that counts as converged; of several rows the largest, each being held to its own.

    tolerance + 2 eps Σ |v_i| d_i / ‖Jᵀp‖ + ε (1 + Σ v_i² d_i² / ‖Jᵀp‖²), without ``weights`` at v = p.

    The second term is what rounding v to float64 costs: an error eps v_j changes (Gv)_i by up to eps |v_j| d_i d_j. It
    is below 1e-11 until Σ |v_i| d_i is some 20 000 ‖Jᵀp‖: where Jᵀp is what cancellation has left of the gradients, or
    where gradients that all but oppose each other need huge multipliers. The share of the multipliers v − p in it is at
    most √eps: larger ones would rest on a squared distance between gradients below the rounding of G itself.
    The third term is 0 unless rounding has given the matrix of cosines a negative eigenvalue −ε, of some 1e-7 in single
    precision, 1e-16 in double. The problem is then not convex, and there may be no v that satisfies its conditions: v
    of the nearest Gramian, C + εI, misses Gv >= 0 by ε v_i d_i² and (v − p)ᵀGv = 0 by ε Σ (v_i − p_i) v_i d_i².
    """
    problem = Problem(gramian, tolerance, preference)
    given = problem.preference if weights is None else np.atleast_2d(as_weights(weights, problem))
    return float(problem.tolerated(given).max())


@compiled
def scaled(gramian: Array, preference: Array) -> tuple[Array, Array, Integers, Array, Integers, Array, int]:
    """The fields of :class:`Subject`."""
    size = len(gramian)
    exponents = np.zeros(size, dtype=np.int64)
    largest = 0.0
    smallest = np.inf
    for i in range(size):
        if gramian[i, i] > 0.0:
            largest = max(largest, gramian[i, i])
            smallest = min(smallest, gramian[i, i])
    # First as `normalised` scales: then G and 2ᵐ G come out equal.
    exponent = (frexp(largest)[1] + frexp(smallest)[1]) // 2 if largest > 0.0 else 0
    for i in range(size):
        # A zero row is scaled like the shortest other one: its weight stays in range whatever the unit.
        square = gramian[i, i] if gramian[i, i] > 0.0 or largest == 0.0 else smallest
        exponents[i] = (frexp(square)[1] - exponent + 1) // 2
    cosines = np.empty((size, size))
    roots = np.empty(size)
    for i in range(size):
        for j in range(i + 1):
            cosines[i, j] = ldexp(gramian[i, j], -int(exponent + exponents[i] + exponents[j]))
            cosines[j, i] = cosines[i, j]
        roots[i] = sqrt(cosines[i, i])
    starts = np.zeros_like(preference)
    units = np.zeros(len(preference), dtype=np.int64)
    squares = np.empty(len(preference))
    work = np.empty((2, size))
    high, low = work[0], work[1]
    for r in range(len(preference)):
        unset = True
        for i in range(size):
            if preference[r, i] != 0.0:
                unit = frexp(preference[r, i])[1] + exponents[i]
                if unset or unit > units[r]:
                    units[r] = unit
                    unset = False
        for i in range(size):
            starts[r, i] = ldexp(preference[r, i], int(exponents[i] - units[r]))
        multiply(cosines, starts[r], high, low)
        squares[r] = dot(starts[r], high)[0] + dot(starts[r], low)[0]
    return cosines, roots, exponents, starts, units, squares, exponent


@compiled
def multiply(matrix: Array, x: Array, high: Array, low: Array) -> None:
    """high + low = Mx of a symmetric matrix in twice the precision; rows are read as columns, x_j = 0 costs nothing."""
    size = len(x)
    for i in range(size):
        high[i] = 0.0
        low[i] = 0.0
    for j in range(size):
        if x[j] != 0.0:
            row = matrix[j]
            for i in range(size):
                product, rest = multiplied(x[j], row[i])
                high[i], lost = added(high[i], product)
                low[i] += lost + rest
    for i in range(size):
        high[i], low[i] = added(high[i], low[i])


@compiled
def measured(
    cosines: Array,
    roots: Array,
    exponents: Integers,
    starts: Array,
    units: Integers,
    squares: Array,
    preference: Array,
    weights: Array,
) -> tuple[Array, Array, Array, bool]:
    """(gaps, spreads, values, non_conflicting) of the rows of ``weights``.

    spreads[r] = (Σ |p_i| d_i, Σ |v_i − p_i| d_i) / ‖Jᵀp‖, Σ v_i² d_i² / ‖Jᵀp‖²: what the floors are made of.
    values[r] = yᵀCy. non_conflicting: (Gv)_i >= −K eps d_i Σ_j |v_j| d_j for all i and all rows.
    """
    rows, size = weights.shape
    gaps = np.zeros(rows)
    spreads = np.zeros((rows, 3))
    values = np.zeros(rows)
    non_conflicting = True
    work = np.empty((3, size))
    y, high, low = work[0], work[1], work[2]
    for r in range(rows):
        start = starts[r]
        missing = 0.0
        largest = 1.0
        total = 0.0
        for i in range(size):
            missing = max(missing, preference[r, i] - weights[r, i])
            largest = max(largest, abs(weights[r, i]))
            y[i] = ldexp(weights[r, i], int(exponents[i] - units[r]))
            total += abs(y[i]) * roots[i]
            spreads[r, 0] += abs(start[i]) * roots[i]
            spreads[r, 1] += abs(y[i] - start[i]) * roots[i]
            spreads[r, 2] += y[i] * y[i] * cosines[i, i]
        multiply(cosines, y, high, low)
        values[r] = max(dot(y, high)[0] + dot(y, low)[0], 0.0)
        conflict = 0.0
        slackness = 0.0
        for i in range(size):
            if roots[i] > 0.0:
                conflict = max(conflict, -high[i] / roots[i])
            slackness += (y[i] - start[i]) * high[i]
        if conflict > size * EPS * total:
            non_conflicting = False
        gaps[r] = missing / largest
        if squares[r] > 0.0:
            norm = sqrt(squares[r])
            gaps[r] = max(gaps[r], conflict / norm, abs(slackness) / squares[r])
            spreads[r, 0] /= norm
            spreads[r, 1] /= norm
            spreads[r, 2] /= squares[r]
        else:
            spreads[r, 0] = spreads[r, 1] = spreads[r, 2] = 0.0
            if total > 0.0:
                gaps[r] = max(gaps[r], sqrt(values[r]) / total)
    return gaps, spreads, values, non_conflicting


def rounding(spreads: Array) -> Array:
    """What rounding v to float64 costs each row."""
    return 2.0 * EPS * spreads[:, 0] + np.minimum(2.0 * EPS * spreads[:, 1], CAP)


def indefiniteness(gramian: Array) -> float:
    """ε of :func:`tolerated_gap`: the smallest eigenvalue of the matrix of cosines is −ε, or ε = 0."""
    return max(0.0, -float(np.linalg.eigvalsh(unit_diagonal(gramian)[0])[0]))


def residual(subject: Subject, r: int, point: Array) -> tuple[float, float, float]:
    """The gap of one row's y, what rounding explains of it, and Σ v_i² d_i² / ‖Jᵀp‖²."""
    cosines, roots, exponents, starts, units, squares, _ = subject
    one = slice(r, r + 1)
    weights = np.ldexp(np.stack([starts[r], point]), units[r] - exponents)
    gaps, spreads, _, _ = measured(
        cosines, roots, exponents, starts[one], units[one], squares[one], weights[:1], weights[1:]
    )
    # A point that overflowed is no candidate.
    gap = float(gaps[0]) if np.isfinite(gaps[0]) else np.inf
    return gap, float(rounding(spreads)[0]), float(spreads[0, 2])


def scaled_weights(subject: Subject, weights: Array) -> Array:
    """y = Dv of one row, in its unit."""
    return np.ldexp(weights, subject.exponents - subject.units[0])


def unscaled(subject: Subject, points: Array) -> Array:
    """v of the rows y."""
    return np.ldexp(points, subject.units[:, None] - subject.exponents)


def as_preference(value: Any, size: int, finite: bool = True) -> Array:
    """``value`` as float64 (K,) or (R, K); ``None`` is 1/K for every task. :class:`ValueError` for anything else.

    ``finite``: ask for that too (``quick`` does it by itself).
    """
    if value is None:
        return np.full(size, 1.0 / size)
    return _numbers("preference", value, size, finite)


def as_weights(value: Any, problem: Problem) -> Array:
    """``value`` as float64 weights of the preference's shape; :class:`ValueError` for anything else."""
    weights = _numbers("weights", value, len(problem.gramian))
    expected = problem.preference.shape if problem.rows else problem.preference.shape[1:]
    if weights.shape != expected:
        raise ValueError(f"weights must have the shape of the preference, {expected}, got {weights.shape}")
    return weights


def _numbers(name: str, value: Any, size: int, finite: bool = True) -> Array:
    array = value if type(value) is np.ndarray and value.dtype is FLOAT64 else _converted(name, value, size)
    shape = array.shape
    if not 1 <= len(shape) <= 2 or shape[-1] != size or 0 in shape:
        raise ValueError(f"{name} must have the shape ({size},) or (R, {size}) with R >= 1, got {shape}")
    if finite and not np.isfinite(array).all():
        raise ValueError(f"{name} must be finite, got {array[~np.isfinite(array)][0]}")
    return array if array.flags.carray else plain(array)


def _converted(name: str, value: Any, size: int) -> Array:
    # A tensor of torch, recognised without importing torch: off its graph and device, in double precision.
    if hasattr(value, "detach") and hasattr(value, "cpu"):
        value = value.detach().cpu().double().numpy()
    try:
        return np.asarray(value, dtype=np.float64)
    except (TypeError, ValueError):
        raise ValueError(f"{name} must be real numbers, ({size},) or rows (R, {size}), got {value!r}") from None

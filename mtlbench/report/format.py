"""How numbers are written for people: digits follow from the interval, and nothing is printed for nothing."""

from __future__ import annotations

import math
import unicodedata

NOTHING = "–"
MINUS = "−"


def number(value: float | None, digits: int = 3) -> str:
    """``value`` with ``digits`` significant digits; scientific outside 1e-3..1e6; a dash for NaN."""
    if value is None or math.isnan(value):
        return NOTHING
    if value == 0:
        return "0"
    if math.isinf(value):
        return ("" if value > 0 else MINUS) + "∞"
    if not 1e-3 <= abs(value) < 1e6:
        mantissa, exponent = f"{value:.{digits - 1}e}".split("e")
        return f"{mantissa}e{int(exponent)}".replace("-", MINUS)
    return fixed(value, max(0, digits - 1 - math.floor(math.log10(abs(value)))))


def fixed(value: float, decimals: int) -> str:
    """``value`` with so many decimals, a real minus sign, and never a minus zero."""
    text = f"{value:.{decimals}f}"
    return text.removeprefix("-") if float(text) == 0 else text.replace("-", MINUS)


def with_interval(mean: float, half_width: float) -> str:
    """``0.912 ± 0.014``: two significant digits of the half width decide the decimals of both.

    Without an interval the mean stands alone.
    """
    if math.isnan(mean):
        return NOTHING
    if math.isnan(half_width) or math.isinf(half_width):
        return number(mean, 4)
    if half_width == 0:
        return f"{mean:.4g} ± 0".replace("-", MINUS)
    largest = max(abs(mean), half_width)
    if not 1e-3 <= largest < 1e6:
        return f"{number(mean, 3)} ± {number(half_width, 2)}"
    decimals = min(6, max(0, 1 - math.floor(math.log10(half_width))))
    return f"{fixed(mean, decimals)} ± {fixed(half_width, decimals)}"


def duration(seconds: float | None) -> str:
    """Seconds in the unit that reads best."""
    if seconds is None or math.isnan(seconds):
        return NOTHING
    for unit, size in (("s", 1.0), ("ms", 1e-3), ("µs", 1e-6)):
        if seconds >= size:
            return f"{number(seconds / size)} {unit}"
    return f"{number(seconds / 1e-9)} ns"


def listing(words: list[str]) -> str:
    """``a``, ``a and b``, ``a, b and c``."""
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}" if words else ""


def plural(count: int, word: str) -> str:
    """``1 seed``, ``3 seeds``."""
    return f"{count} {word}" if count == 1 else f"{count} {word}s"


def tex(text: str) -> str:
    """``text`` safe inside a LaTeX table: ASCII, whatever the LaTeX engine makes of other characters."""
    return "".join(_TEX.get(character) or _ascii(character) for character in text)


def _ascii(character: str) -> str:
    """What pdflatex takes for ``character``: itself, its base letter, or its name."""
    plain = unicodedata.normalize("NFKD", character).encode("ascii", "ignore").decode()
    return plain or f"[U+{ord(character):04X}]"


_TEX = {
    **{character: "\\" + character for character in "&%$#_{}"},
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "–": "--",
    "µ": r"\textmu{}",
    **{
        character: f"${name}$"
        for character, name in {
            "±": r"\pm",
            "−": "-",
            "≈": r"\approx",
            "≡": r"\equiv",
            "⇥": r"\rightarrow|",
            "Δ": r"\Delta",
            "∞": r"\infty",
            "×": r"\times",
            "·": r"\cdot",
            "λ": r"\lambda",
            "α": r"\alpha",
            "β": r"\beta",
            "ε": r"\varepsilon",
        }.items()
    },
}

"""Words and numbers as LaTeX that compiles, whatever users call their methods."""

from __future__ import annotations

import math
import re
import unicodedata

PACKAGES = r"\usepackage[T1]{fontenc} \usepackage{booktabs,longtable,array}"
"""What the tables need in the preamble."""
LONGEST_RUN = 16
"""Characters of a name without a place to break, after which a line may break all the same."""

PLAIN = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "$": r"\$",
    "&": r"\&",
    "#": r"\#",
    "%": r"\%",
    "_": r"\_\allowbreak{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    "`": r"\textasciigrave{}",
    '"': r"\textquotedblright{}",
    # At the start of a row these would belong to the `\\` before it.
    "[": "{[}",
    "]": "{]}",
    "*": "{*}",
    "/": r"/\allowbreak{}",
    "=": r"=\allowbreak{}",
    # From here on what pdfLaTeX does not know.
    "−": r"\ensuremath{-}",
    "–": r"\textendash{}",
    "—": r"\textemdash{}",
    "·": r"\ensuremath{\cdot}",
    "×": r"\ensuremath{\times}",
    "±": r"\ensuremath{\pm}",
    "≤": r"\ensuremath{\leq}",
    "≥": r"\ensuremath{\geq}",
    "≠": r"\ensuremath{\neq}",
    "≈": r"\ensuremath{\approx}",
    "→": r"\ensuremath{\rightarrow}",
    "∞": r"\ensuremath{\infty}",
    "√": r"\ensuremath{\surd}",
    "‖": r"\ensuremath{\Vert}",
    "²": r"\ensuremath{^{2}}",
    "³": r"\ensuremath{^{3}}",
    "°": r"\ensuremath{^{\circ}}",
    "…": r"\ldots{}",
    "‘": r"\textquoteleft{}",
    "’": r"\textquoteright{}",
    "“": r"\textquotedblleft{}",
    "”": r"\textquotedblright{}",
    "\u00a0": "~",
}
"""By character, what stands for it."""
GREEK = (
    *("alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta", "iota", "kappa", "lambda", "mu"),
    *("nu", "xi", "o", "pi", "rho", "varsigma", "sigma", "tau", "upsilon", "phi", "chi", "psi", "omega"),
)
"""From U+03B1 on. LaTeX has no omicron, which looks as an o."""
CAPITALS = "ABΓΔEZHΘIKΛMNΞOΠP ΣTΥΦXΨΩ"
"""From U+0391 on: Latin letters where they look the same, for which LaTeX has no Greek one."""


def _greek() -> dict[str, str]:
    found = {"µ": r"\ensuremath{\mu}"}
    for at, name in enumerate(GREEK):
        found[chr(0x3B1 + at)] = "o" if name == "o" else rf"\ensuremath{{\{name}}}"
        capital, looks = chr(0x391 + at), CAPITALS[at]
        found[capital] = looks if looks.isascii() else rf"\ensuremath{{\{name.capitalize()}}}"
    return found


LETTERS = {**PLAIN, **_greek()}
JOINED = re.compile(r"(?<=([-,']))(?=\1)")
"""Where two such signs meet. Fonts would join them: `--` would become a dash."""
WIDEST = "\u017f"
"""The last letter of Latin Extended-A, all of which pdfLaTeX knows."""


def escaped(words: str) -> str:
    """Words as LaTeX text on one line, with places to break long names.

    Letters of other scripts stay as they are. They need LuaLaTeX or XeLaTeX, see `foreign`.
    """
    found = []
    run = 0
    for letter in plain(words):
        found.append(LETTERS.get(letter, letter))
        # Lines break at spaces, and at the hyphens and underscores that most names have.
        run = 0 if letter in " -_/=" else run + 1
        if run >= LONGEST_RUN:
            found.append(r"\allowbreak{}")
            run = 0
    return JOINED.sub("{}", "".join(found))


def plain(words: str) -> str:
    """Words with composed letters, and spaces for what is no letter that can be printed."""
    composed = unicodedata.normalize("NFC", words)
    return "".join(letter if letter.isprintable() or letter == "\u00a0" else " " for letter in composed)


def foreign(words: str) -> str:
    """The letters that pdfLaTeX does not know, each once."""
    return "".join(dict.fromkeys(c for c in plain(words) if c > WIDEST and c not in LETTERS))


def comment(words: str) -> str:
    """A line that LaTeX does not read."""
    return "% " + re.sub(r"\s+", " ", plain(words))


def number(value: float, digits: str = ".3g") -> str:
    """A number for math mode: `1.2\\times10^{-5}`."""
    if math.isnan(value):
        return r"\mathrm{NaN}"
    if math.isinf(value):
        return r"\infty" if value > 0 else r"-\infty"
    mantissa, _, exponent = f"{value:{digits}}".partition("e")
    return rf"{mantissa}\times10^{{{int(exponent)}}}" if exponent else mantissa


def bounded(value: float, interval: tuple[float, float] | None, *, lower: bool, upper: bool) -> str:
    """`$\\geq 4.2$ $[3.7,\\ 4.7]$`: a number with its interval, and the sign of a bound.

    Args:
        lower: the truth may be larger. upper: it may be smaller. Of both together no sign can be made.
    """
    if lower and upper:
        sign, before = "", "above or below "
    else:
        sign, before = r"\geq " * lower + r"\leq " * upper, ""
    # Two formulas, because a line may break between them.
    span = rf" $[{number(interval[0])},\ {number(interval[1])}]$" if interval else ""
    return f"{before}${sign}{number(value)}${span}"

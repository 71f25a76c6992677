"""The four notations: canonical text, readable text, terminal characters, LaTeX."""

from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction

from tfcost.formula.render import Style, alphabetical, usual
from tfcost.symbols import SYMBOLS

_SUPERSCRIPTS = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")


def _plain_power(base: str, exponent: int | Fraction) -> str:
    return f"{base}**{exponent}" if isinstance(exponent, int) else f"{base}**({exponent})"


def _plain_call(function: str, arguments: list[str]) -> str:
    return f"{function}({', '.join(arguments)})"


def _bracketed(text: str) -> str:
    return f"({text})"


CANONICAL = Style(
    rank=alphabetical,
    symbol=str,
    product="*".join,
    quotient="{}/{}".format,
    power=_plain_power,
    call=_plain_call,
    group=_bracketed,
)
"""The stored text: `4*b*d_h*h*n**2`."""

READABLE = replace(CANONICAL, rank=usual)
"""The same notation in the field's usual order: `4*b*h*n**2*d_h`."""


def _terminal_power(base: str, exponent: int | Fraction) -> str:
    if isinstance(exponent, int):
        return base + str(exponent).translate(_SUPERSCRIPTS)
    return f"{base}^({exponent})"


def _terminal_call(function: str, arguments: list[str]) -> str:
    inside = ", ".join(arguments)
    match function:
        case "ceiling":
            return f"⌈{inside}⌉"
        case "floor":
            return f"⌊{inside}⌋"
        case _:
            return f"{function.lower()}({inside})"


TERMINAL = replace(READABLE, product="·".join, power=_terminal_power, call=_terminal_call)
"""The readable form with superscripts, middle dots and brackets for rounding: `4·b·h·n²·d_h`."""


def _latex_symbol(name: str) -> str:
    if name in SYMBOLS:
        return SYMBOLS[name].latex
    head, _, tail = name.partition("_")
    index = tail.replace("_", r"\_")
    letter = head if len(head) == 1 else rf"\mathrm{{{head}}}"
    return rf"{letter}_{{\mathrm{{{index}}}}}" if index else letter


def _latex_product(factors: list[str]) -> str:
    text = factors[0]
    for factor in factors[1:]:
        text += (r" \cdot " if factor[0].isdigit() else " ") + factor
    return text


def _latex_group(text: str) -> str:
    return rf"\left({text}\right)"


_LATEX_CALLS: dict[str, Callable[[str], str]] = {
    "ceiling": r"\left\lceil {} \right\rceil".format,
    "floor": r"\left\lfloor {} \right\rfloor".format,
    "Min": r"\min\left({}\right)".format,
    "Max": r"\max\left({}\right)".format,
    "Mod": r"\operatorname{{mod}}\left({}\right)".format,
}

LATEX = Style(
    rank=usual,
    symbol=_latex_symbol,
    product=_latex_product,
    quotient=r"\frac{{{}}}{{{}}}".format,
    power=lambda base, exponent: f"{base}^{{{exponent}}}",
    call=lambda function, arguments: _LATEX_CALLS[function](", ".join(arguments)),
    group=_latex_group,
    bar=True,
)
"""LaTeX for math mode: `4 b h n^{2} d_h`."""

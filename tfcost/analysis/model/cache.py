"""How many tokens a cache keeps of those that there are, and how many the pages that it lies in have room for."""

from tfcost.formula import Formula

PAGE = 16
"""Tokens of a page: what servers allocate caches in (Kwon et al. 2023, vLLM)."""


def in_pages(kept: str, tokens: str) -> str:
    """The tokens that the pages of a cache have room for, as a formula of the `tokens` so far (a symbol), where `kept`
    says in `m` how many of m tokens a cache keeps: all, or those of a window, whose earlier pages have been given back.
    """
    first = "0" if kept == "m" else f"floor(({tokens} - ({Formula(kept).substitute({'m': tokens})}))/{PAGE})"
    return f"{PAGE}*(ceiling({tokens}/{PAGE}) - {first})"


def kept_of(kept: str, tokens: str) -> str:
    """The same tokens without the room of pages."""
    return Formula(kept).substitute({"m": tokens}).text

"""How a technique describes itself to the derivation: names, options, claims of the source document, and variants.

A technique says what is computed; nothing here holds a cost.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tfcost.book.record import Claim, Option
from tfcost.cost import Cost
from tfcost.derive.loops import Repeat
from tfcost.derive.subject import Subject

__all__ = ["Claim", "Mask", "Option", "Repeat", "Technique", "Variant"]

Predicate = Callable[..., Any]


@dataclass(frozen=True, slots=True)
class Mask:
    """A mask predicate over (i, j, n, m) and `sizes` of its own, the steps whose matrix products it applies to, and
    the size symbols that give its n and m.
    """

    predicate: Predicate
    sizes: tuple[str, ...] = ()
    steps: tuple[str, ...] = ("scores", "values")
    queries: str = "n"
    keys: str = "m"


@dataclass(frozen=True, slots=True)
class Variant:
    """One way to run a technique, derived as a whole.

    `substitutions` express the subject's auxiliary sizes in the symbols of the table, in the order given (r = h/h_kv);
    `declared` says what numbers of loaded data stand for (`tfcost.declared`), in the order given: an expression that
    holds them, and its mean over all places where it is read.
    `reference` is the subject that says what the mathematics asks for (None: the subject itself).
    `part` names a link of a chain: input and output live only as long as somebody needs them; with `training` its
    forward pass is that of a training step, else the one without gradients.
    `forward` names the pass that is not a backward one ("decode"); `repeat` runs it again and again.
    `tiled` computes one head with the tile of its kernel given by the sizes B_M and B_N (None: there is no tile).
    """

    scope: str
    options: Mapping[str, object]
    subject: Subject
    substitutions: tuple[tuple[str, str], ...] = ()
    assumptions: tuple[str, ...] = ()
    reference: Subject | None = None
    mask: Mask | None = None
    part: str = ""
    dtypes: tuple[str, ...] = ("bfloat16", "float16", "float32")
    backward: bool = True
    forward: str = "forward"
    repeat: Repeat | None = None
    tiled: Subject | None = None
    declared: tuple[tuple[str, str], ...] = ()
    training: bool = False


@dataclass(frozen=True, slots=True)
class Technique:
    """A technique: what `tfcost techniques` lists and `tfcost derive` derives. `defaults` are values for symbols of its
    own (chunk length); `composed` makes costs of a whole out of those of all variants.
    """

    name: str
    title: str
    section: str
    implementation: str
    summary: str
    variants: Callable[[], Iterable[Variant]]
    options: Mapping[str, Option] = field(default_factory=dict)
    defaults: Mapping[str, int] = field(default_factory=dict)
    claims: tuple[Claim, ...] = ()
    composed: Callable[[Sequence[Cost]], Iterable[Cost]] | None = None

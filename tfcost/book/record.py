"""What the book knows about one technique: the facts its author states and the costs derived from its code."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from tfcost.cost import Cost
from tfcost.formula import Formula

SCHEMA_VERSION = 1

OptionValue = bool | int | str


@dataclass(frozen=True, slots=True)
class Option:
    """One choice a technique offers (causal or not, which feature map): its values, the default, what it means."""

    values: tuple[OptionValue, ...]
    default: OptionValue
    meaning: str


@dataclass(frozen=True, slots=True)
class Claim:
    """What the source document says: the class `formula` of a `quantity` ("time": operations, "space", "duration":
    seconds), its section, its words, and the `step` it speaks of ("": the whole).

    With a `ratio` it says how many times what it is with the options `against` the quantity of a training step is, or
    what it is in the technique `than`: at least the first and at most the second number. `formula` is then the class
    of that multiple.
    """

    section: str
    quantity: str
    formula: Formula
    quote: str
    step: str = ""
    ratio: tuple[Formula, Formula] | None = None
    against: Mapping[str, OptionValue] = field(default_factory=dict)
    than: str = ""


@dataclass(frozen=True, slots=True)
class Provenance:
    """Where the costs come from: SHA-256 per source file, version per tool."""

    sources: Mapping[str, str] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class TechniqueRecord:
    """One technique. `defaults` are values for symbols of its own ({"c": 64}); `implementation` is torch or triton."""

    technique: str
    title: str
    section: str
    implementation: str
    summary: str
    options: Mapping[str, Option]
    defaults: Mapping[str, int]
    claims: tuple[Claim, ...]
    provenance: Provenance
    costs: Sequence[Cost]

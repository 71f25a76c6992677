"""One derivation to be done in a process of its own: what a target's configuration says, as plain data."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field

from tfcost.check.config import CheckConfig, TargetConfig

OptionText = bool | str


@dataclass(frozen=True, slots=True)
class Job:
    """The target `name`, derived with `root` as the working directory. Fields are those of `TargetConfig`."""

    name: str
    root: str
    passes: tuple[str, ...]
    dtype: str
    time_limit: int
    technique: str = ""
    scope: str = ""
    options: Mapping[str, OptionText] = field(default_factory=dict)
    d_h: int | None = None
    function: str = ""
    dims: tuple[str, ...] = ()
    shapes: Mapping[str, str] = field(default_factory=dict)
    args: Mapping[str, OptionText | None] = field(default_factory=dict)
    init: Mapping[str, OptionText | None] | None = None
    reference: str = ""
    reference_sizes: Mapping[str, int] = field(default_factory=dict)

    @classmethod
    def of(cls, name: str, target: TargetConfig, config: CheckConfig, root: str) -> "Job":
        """The job of the target `name` of `config`."""
        return cls(
            name=name, root=root, passes=tuple(target.passes), dtype=target.dtype,
            time_limit=target.time_limit or config.time_limit, technique=target.technique or "",
            scope=target.scope or "", options=target.options, d_h=target.d_h, function=target.function or "",
            dims=tuple(target.dims), shapes=target.shapes, args=target.args, init=target.init,
            reference=target.reference or "", reference_sizes=target.reference_sizes,
        )  # fmt: skip

    @classmethod
    def parse(cls, text: str) -> "Job":
        """The job that `text` was written for."""
        content = json.loads(text)
        return cls(**{**content, "passes": tuple(content["passes"]), "dims": tuple(content["dims"])})

    @property
    def text(self) -> str:
        """The job as one line of JSON."""
        return json.dumps(asdict(self))

    @property
    def question(self) -> str:
        """What decides the answer, as text: all but the place and the time limit."""
        content = asdict(self)
        for name in ("name", "root", "time_limit", "reference", "reference_sizes"):
            del content[name]
        return json.dumps(content, sort_keys=True)

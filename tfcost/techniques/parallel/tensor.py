"""Tensor and sequence parallelism: the parts of a model as one of T GPUs runs them, as links of a chain.

The option `rows` says whether the rows between the blocks are whole on every GPU (Shoeybi et al. 2019, arXiv
1909.08053) or split (Korthikanti et al. 2022, arXiv 2205.05198).
"""

from collections.abc import Iterator

from tfcost.derive.technique import Option, Technique, Variant
from tfcost.techniques.parallel import decoders, plain, vocabulary
from tfcost.techniques.parallel.parts import ROWS

_PARTS = ("attention", "ffn", "decoder attention", "decoder ffn", "embedding", "norm", "head and loss")


def _variants() -> Iterator[Variant]:
    for rows in ROWS:
        for module in (plain, decoders, vocabulary):
            yield from module.variants(rows)


TECHNIQUE = Technique(
    name="tensor-parallel",
    title="Tensor and sequence parallelism",
    section="",
    implementation="torch",
    summary="T GPUs share out heads, hidden width and vocabulary, and exchange rows at both ends of every block.",
    options={
        "part": Option(_PARTS, "attention", "the part of a model"),
        "rows": Option(tuple(ROWS), "whole", "rows between blocks: all on every GPU, or split (sequence parallel)"),
    },
    defaults={"T": 2},
    variants=_variants,
)

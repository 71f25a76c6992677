"""Writes recorded.json, what transformers says of every file in configs/hf: `python tests/models/record.py`."""

import json
from itertools import groupby
from pathlib import Path
from typing import Any

from models.oracle import Counted, build, forward_flops, parameters, version

HERE = Path(__file__).parent
CONFIGS = HERE.parents[1] / "configs" / "hf"
SIZES = ((1, 128), (3, 256), (1, 4096))
"""b and n; a model that takes fewer positions has its most in place of the last n."""


def sizes_of(model: Any) -> list[tuple[int, int]]:
    """The sizes a model is counted at."""
    if model.config.model_type == "longformer":  # whole windows, or the module would pad
        return [(1, 512), (3, 1024), (1, 4096)]
    most = getattr(model.config, "max_position_embeddings", None) or SIZES[-1][1]
    return [(b, min(n, most)) for b, n in SIZES]


def recorded(path: Path) -> dict[str, Any]:
    """What is written of one file; layers as (FLOPs, how many in a row)."""
    model = build(path)
    counted = [forward_flops(model, b, n) for b, n in sizes_of(model)]
    return {"class": type(model).__name__, "parameters": parameters(model), "flops": [_row(one) for one in counted]}


def _row(counted: Counted) -> dict[str, Any]:
    row = {"b": counted.b, "n": counted.n, "total": counted.total, "layers": _alike(counted.layers)}
    return row | ({"encoder": _alike(counted.encoder)} if counted.encoder else {})


def _alike(layers: list[int]) -> list[list[int]]:
    return [[flops, len(list(same))] for flops, same in groupby(layers)]


def main() -> None:
    """Counts every file and writes them all, a model a line."""
    models = {path.stem: recorded(path) for path in sorted(CONFIGS.glob("*.json"))}
    lines = ",\n".join(f"  {json.dumps(name)}: {json.dumps(one)}" for name, one in models.items())
    text = f'{{\n "transformers": "{version()}",\n "models": {{\n{lines}\n }}\n}}\n'
    (HERE / "recorded.json").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()

"""What families have in common: heads, windows, rotary width, the head on top, layers of several kinds in runs."""

from collections.abc import Collection, Sequence
from typing import Any

from tfcost.config.hf.family import Values
from tfcost.config.hf.kinds import GATED_ACTIVATIONS

WINDOW_KERNEL_WIDTHS = (64, 128)
"""Head widths of the window kernels behind LLaMA's norms and positions."""

Fields = dict[str, Any]
Layer = dict[str, Any]


def decoder(values: Values) -> Fields:
    """The fields of a decoder that names its sizes as LLaMA does, its rows and norms being of LLaMA's kind as well."""
    return {
        **heads(values),
        "d": values["hidden_size"],
        "L": values["num_hidden_layers"],
        "f": values["intermediate_size"],
        "V": values["vocab_size"],
        "causal": True,
        "rope": True,
        "norm_kind": "rms",
        "norm": "pre",
        "ffn": GATED_ACTIVATIONS[values["hidden_act"]],
        "head": head(values),
    }


def heads(values: Values, kv: str = "num_key_value_heads") -> Fields:
    """h, h_kv and d_h. UserError if heads do not divide the width where no head width is said, or h_kv not h."""
    found = {"h": values["num_attention_heads"]}
    if values.get("head_dim"):
        found["d_h"] = values["head_dim"]
    else:
        values.refuse_unless_divisible("hidden_size", "num_attention_heads")
    if values.get(kv):
        values.refuse_unless_divisible("num_attention_heads", kv)
        found["h_kv"] = values[kv]
    return found


def head(values: Values) -> str:
    """The language model head, none where the file names a class without one."""
    built = values.get("architectures")
    if built is not None and built.endswith("Model") and not built.endswith("HeadModel"):
        return "none"
    return "tied" if values["tie_word_embeddings"] else "untied"


def window(values: Values, size: int | None, kernel_widths: Collection[int] = ()) -> Layer:
    """The layer that sees `size` keys, the query's own among them: a window of one less; all of them for None.

    With a window kernel for heads of `kernel_widths`; for others a mask on all scores, which is told.
    """
    if size is None:
        return {}
    width = values.get("head_dim") or values["hidden_size"] // values["num_attention_heads"]
    if width in kernel_widths:
        return {"attention": "sliding-window", "w": size - 1}
    told = "the window is a mask on all scores: no window kernel is made for such heads"
    if told not in values.notes:
        values.notes.append(told)
    return {"w": size - 1}


def rope_share(values: Values, default: float = 1.0) -> float:
    """The part of a head's columns that is turned. UserError if it is more than all of them."""
    share, place = default, "rope_scaling"
    for name in ("rope_scaling", "rope_parameters", "partial_rotary_factor", "rotary_pct"):
        given = values.get(name)
        if isinstance(given, dict):
            given = given.get("partial_rotary_factor")
        if given is not None:
            share, place = given, name
    if isinstance(share, bool) or not isinstance(share, int | float) or not 0 < share <= 1:
        raise values.wrong(place, f"{place}: the part of a head that is turned must be above 0 and at most 1")
    return float(share)


def whole_rope(values: Values) -> None:
    """UserError if only a part of a head is turned, in a family that always turns all of it."""
    for name in ("rope_scaling", "rope_parameters"):
        inside = values.get(name) or {}
        parts = [inside, *(part for part in inside.values() if isinstance(part, dict))]
        if any(part.get("partial_rotary_factor", 1) != 1 for part in parts):
            raise values.wrong(name, f"{name}: partial_rotary_factor is not understood for this model_type")


def layer_types(values: Values, default: Sequence[str]) -> list[str]:
    """Whether each layer is one of full or of sliding attention; `default` unless the file says it."""
    types: Sequence[str] = values["layer_types"] or default
    if len(types) != values["num_hidden_layers"]:
        depth = values["num_hidden_layers"]
        raise values.wrong("layer_types", f"layer_types has {len(types)} layers, num_hidden_layers = {depth}")
    return list(types)


def windowed(values: Values, default: Sequence[str], kernel_widths: Collection[int] = ()) -> Fields:
    """Runs of layers with the window `sliding_window` or without. UserError if a layer slides and there is none."""
    types, size = layer_types(values, default), values["sliding_window"]
    if size is None and "sliding_attention" in types:
        raise values.wrong("layer_types", "layer_types has sliding_attention, but sliding_window is null")
    return in_runs([window(values, size if one == "sliding_attention" else None, kernel_widths) for one in types])


def in_runs(layers: Sequence[Layer]) -> Fields:
    """`layers`, each as it differs from the model's own, as repeated patterns: of two ways, the one that is shorter.

    Nothing, or one change for all, if they are alike.
    """
    if all(layer == layers[0] for layer in layers):
        return dict(layers[0])
    runs = min((_period(layers), _lengths(layers)), key=lambda found: sum(len(run["pattern"]) for run in found))
    return {"layers": runs}


def _period(layers: Sequence[Layer]) -> list[Fields]:
    """The shortest pattern that all layers repeat, and what is left at the end."""
    period = next(
        p for p in range(1, len(layers) + 1) if all(layers[i] == layers[i % p] for i in range(p, len(layers)))
    )
    count = len(layers) // period
    return [{"count": count, "pattern": list(layers[:period])}, *_lengths(layers[count * period :])]


def _lengths(layers: Sequence[Layer]) -> list[Fields]:
    """Runs of equal layers."""
    runs: list[Fields] = []
    for layer in layers:
        if runs and runs[-1]["pattern"] == [layer]:
            runs[-1]["count"] += 1
        else:
            runs.append({"count": 1, "pattern": [layer]})
    return runs

"""Tensor and sequence parallel parts run for real on 2 and 4 processes: results, collectives, FLOPs and memory."""

from collections.abc import Sequence
from typing import Any

import pytest
from parallel.processes import Processes
from parallel.tensor_cases import SIZES, compare, measured_alone, variant_of

from tfcost.cost import Cost
from tfcost.derive.costs import derive_variant
from tfcost.techniques import decoder_attention
from tfcost.techniques.parallel.tensor import TECHNIQUE

# The profiler's own marker, and what the CPU's layer norm takes for its weights' gradients, 2·d floats a thread.
TOLERANCE = 64 + 2 * 4 * 24


def _cases() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for rows in ("whole", "split"):
        for norm, bias, causal in (("none", False, False), ("pre", True, True), ("post", True, False)):
            found.append({"part": "attention", "attention": "standard", "causal": causal, "rows": rows, "norm": norm,
                          "bias": bias})  # fmt: skip
        for activation, norm, bias in (("gelu", "pre", True), ("swiglu", "none", False), ("relu", "post", True)):
            found.append({"part": "ffn", "activation": activation, "rows": rows, "norm": norm, "bias": bias})
        found += [{"part": "embedding", "rows": rows, "positions": positions} for positions in (False, True)]
        found.append({"part": "head and loss", "rows": rows})
        for kind in ("llama, mistral, mixtral, phi3", "qwen2", "qwen3", "gemma2", "gpt-oss"):
            options = decoder_attention._options(decoder_attention.KINDS[kind], "standard")
            found.append({"part": "decoder attention", "rows": rows, **options})
        for activation, norm in (("swiglu", "pre"), ("geglu", "sandwich")):
            found.append({"part": "decoder ffn", "activation": activation, "rows": rows, "norm": norm})
    return [*found, *({"part": "norm", "rows": "split", "norm_kind": kind} for kind in ("layer", "rms"))]


@pytest.mark.parametrize("options", _cases(), ids=lambda options: "-".join(map(str, options.values())))
def test_a_rank_does_what_was_derived(options: dict[str, Any], processes: Processes) -> None:
    costs = [cost for cost in derive_variant(TECHNIQUE, variant_of(options), "cpu") if "float32" in cost.dtypes]
    for count in (2, 4):
        values = {**SIZES, "T": count, "m": SIZES["n"]}
        for found in processes.run(count, compare, options, SIZES):
            for cost in costs:
                derived = {one.collective: (one.bytes.evaluate(values), one.calls.evaluate(values))
                           for one in cost.communication}  # fmt: skip
                assert derived == found[cost.pass_]
        alone = measured_alone(options, SIZES, count)
        assert tuple(cost.quantities["matmul_flops"].exact.evaluate(values) for cost in costs) == alone["flops"]
        if options.get("sinks"):  # on a CPU, softmax's backward pass copies a gradient that is cut out of a larger one
            continue
        for real, derived_peak in zip(alone["peaks"], _peaks(costs, values), strict=True):
            assert abs(real - derived_peak) <= TOLERANCE, (count, alone["peaks"], derived_peak)


def _peaks(costs: Sequence[Cost], values: dict[str, int]) -> tuple[int, int]:
    """Of a part's two passes in training, weights and tokens included."""
    forward, backward = costs
    sizes = {name: int(size.evaluate(values)) for name, size in {**forward.composition, **backward.composition}.items()}
    given = sizes["given_bytes"] - int(forward.composition["input_bytes"].evaluate(values))
    held = given + sizes["saved_bytes"] + sizes["output_bytes"]
    return given + sizes["input_bytes"] + sizes["forward_local_bytes"], held + sizes["backward_local_bytes"]

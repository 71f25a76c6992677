"""The plan of a full run: which techniques at which sizes. Data only; `plan` makes cases of it.

Every technique and variant in both passes, at aligned and odd lengths, with two or more values of each parameter of its
own and two head widths; d = 768, b = 1, 16-bit floats, and a few cases of other dtypes, batches and grouped heads.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

Values = tuple[int, ...]
Options = Mapping[str, tuple[bool | int | str, ...]]

WIDTH = 768
"""d of all cases; h is d/d_h."""

BOTH = ("forward", "backward")
_YES, _NO, _EITHER = (True,), (False,), (False, True)


@dataclass(frozen=True, slots=True)
class Sweep:
    """All combinations of what it lists. `lengths` are values of `length` (n, or another symbol that counts tokens);
    options and sizes that it does not list take the technique's defaults.
    """

    technique: str
    scope: str
    passes: tuple[str, ...]
    lengths: Values
    options: Options = field(default_factory=dict)
    sizes: Mapping[str, Values] = field(default_factory=dict)
    widths: Values = (64,)
    dtypes: tuple[str, ...] = ("bfloat16",)
    length: str = "n"


_SHORT = (512, 1000, 2048, 4096, 8192, 16384)
_ALIGNED = (512, 1024, 2048, 4096, 8192, 16384)
_LONG = (513, 1000, 4096, 10000, 32768, 131072)

SWEEPS: tuple[Sweep, ...] = (
    Sweep("standard", "core", BOTH, _SHORT, {"causal": _NO}),
    Sweep("standard", "core", BOTH, (512, 2048, 8192), {"causal": _YES}),
    Sweep("standard", "core", BOTH, (4096,), {"causal": _EITHER}, widths=(128,)),
    Sweep("standard", "core", BOTH, (1000,), {"causal": _NO}, {"b": (2,), "h_kv": (4,)}, dtypes=("float16", "float32")),
    Sweep("standard", "core", ("forward",), (65536,), {"causal": _NO}),
    Sweep("standard", "layer", BOTH, (1024,), {"causal": _EITHER}),
    Sweep("standard", "block", BOTH, (1024,), {"causal": _YES, "norm": ("pre",), "bias": _YES}),
    Sweep("flash", "core", BOTH, _LONG, {"causal": _NO}),
    Sweep("flash", "core", BOTH, (512, 2048, 8192, 16384), {"causal": _NO}),
    Sweep("flash", "core", BOTH, (512, 1000, 2048, 8192, 10000, 65536), {"causal": _YES}),
    Sweep("flash", "core", BOTH, (4096,), {"causal": _EITHER}, widths=(128,)),
    Sweep("flash", "core", BOTH, (1000,), {"causal": _YES}, {"b": (2,), "h_kv": (4,)}, dtypes=("float16",)),
    Sweep("flash", "layer", BOTH, (1024,), {"causal": _YES}),
    Sweep("flash", "block", BOTH, (1024,), {"causal": _YES, "norm": ("pre",), "bias": _YES}),
    Sweep("linear", "core", BOTH, (512, 4096, 32768), {"causal": _NO, "fused": _NO}),
    Sweep("linear", "core", BOTH, _LONG, {"causal": _NO, "fused": _YES}),
    Sweep("linear", "core", BOTH, _LONG, {"causal": _YES, "fused": _YES}),
    Sweep("linear", "core", BOTH, (1000,), {"causal": _YES, "fused": _NO}),
    Sweep("linear", "core", BOTH, (4096,), {"causal": _YES, "fused": _NO}, {"c": (64, 128)}),
    Sweep("linear", "core", ("forward",), (1000,), {"causal": _NO, "feature_map": ("relu", "exp"), "fused": _YES}),
    Sweep("linear", "core", BOTH, (4096,), {"causal": _EITHER, "fused": _YES}, widths=(128,)),
    Sweep("linear", "layer", BOTH, (1024,), {"causal": _EITHER, "fused": _YES}),
    Sweep("linear", "core", ("decode",), (1,), {"fused": _YES}, {"b": (1, 64)}, widths=(64, 128)),
    Sweep("local", "core", BOTH, _LONG, {"causal": _YES}, {"k": (129,)}),
    Sweep("local", "core", BOTH, (4096,), {"causal": _YES}, {"k": (513,)}),
    Sweep("local", "core", BOTH, (1000,), {"causal": _NO}, widths=(128,)),
    Sweep("local", "layer", BOTH, (1024,), {"causal": _YES}),
    Sweep("dilated", "core", BOTH, (512, *_LONG[1:]), {"causal": _YES}, {"k": (129,), "s": (4,)}),
    Sweep("dilated", "core", BOTH, (4096,), {"causal": _YES}, {"k": (65,), "s": (2,)}),
    Sweep("dilated", "core", BOTH, (1000,), {"causal": _NO}, widths=(128,)),
    Sweep("dilated", "layer", BOTH, (1024,), {"causal": _YES}),
    Sweep("strided", "core", BOTH, (*_LONG[:5], 65536), {"causal": _YES}, {"s": (128,)}),
    Sweep("strided", "core", BOTH, (4096,), {"causal": _YES}, {"s": (64,)}),
    Sweep("strided", "core", BOTH, (1000,), {"causal": _NO}, widths=(128,)),
    Sweep("strided", "layer", BOTH, (1024,), {"causal": _YES}),
    Sweep("longformer", "core", BOTH, _LONG, {"causal": _YES}, {"w": (512,), "g": (64,)}),
    Sweep("longformer", "core", BOTH, (4096,), {"causal": _YES}, {"w": (128,), "g": (16, 64)}),
    Sweep("longformer", "core", BOTH, (1000,), {"causal": _NO}, widths=(128,)),
    Sweep("longformer", "layer", BOTH, (1024,), {"causal": _YES}),
    Sweep("sliding-window", "core", BOTH, _LONG, {"causal": _YES}, {"w": (512,)}),
    Sweep("sliding-window", "core", BOTH, (4096,), {"causal": _YES}, {"w": (128,)}),
    Sweep("sliding-window", "core", BOTH, (1000,), {"causal": _NO}, widths=(128,)),
    Sweep("sliding-window", "core", BOTH, (1000,), {"overlapping": _NO, "causal": _YES}, {"c": (128, 512)}),
    Sweep("sliding-window", "core", BOTH, (4096,), {"overlapping": _NO, "causal": _NO}),
    Sweep("sliding-window", "layer", BOTH, (1024,), {"causal": _YES}),
    Sweep("top-k", "core", BOTH, (*_ALIGNED[:5], 65536), {"causal": _NO}, {"k": (512,)}),
    Sweep("top-k", "core", BOTH, (4096,), {"causal": _NO}, {"k": (256,)}),
    Sweep("top-k", "core", BOTH, (4096,), {"causal": _YES}, widths=(64, 128)),
    Sweep("top-k", "layer", BOTH, (1024,), {"causal": _NO}),
    Sweep("cluster", "core", BOTH, _ALIGNED, {"causal": _NO}, {"c": (512,)}),
    Sweep("cluster", "core", BOTH, (4096,), {"causal": _NO}, {"c": (256,)}),
    Sweep("cluster", "core", BOTH, (4096,), {"causal": _YES, "assignment": ("lsh",)}, widths=(64, 128)),
    Sweep("cluster", "core", BOTH, (4096,), {"balanced": _NO}, {"c": (256,), "k": (512, 1024)}),
    Sweep("cluster", "core", BOTH, (4096,), {"balanced": _NO, "assignment": ("lsh",), "causal": _YES}),
    Sweep("cluster", "layer", BOTH, (1024,)),
    Sweep("kv-cache", "core", ("decode",), _LONG, {"cache": ("full",)}, widths=(64, 128), length="m"),
    Sweep("kv-cache", "core", ("decode",), (1000, 32768), {"cache": ("full",)}, {"b": (8,), "h_kv": (3,)}, length="m"),
    Sweep("kv-cache", "core", ("decode",), (513, 4096, 16384), {"cache": ("none",)}, length="m"),
    Sweep("kv-cache", "core", ("decode",), (511, 1023, 4095), {"cache": ("window",)}, length="w"),
    Sweep("kv-cache", "layer", ("decode",), (1000, 4096, 32768), {"cache": ("full",)}, length="m"),
    Sweep("kv-cache", "core", ("generation",), (513, 4096), {"cache": ("full",)}, {"t": (8, 16)}, length="p"),
    Sweep("ffn", "layer", BOTH, (257, 512, 1000, 4096, 16384, 65536), {"activation": ("relu",)}),
    Sweep("ffn", "layer", BOTH, (1024,), {"activation": ("swiglu",)}, {"f": (2048, 3072)}),
    Sweep("ffn", "layer", BOTH, (1000, 4096), {"activation": ("swiglu",), "fused": _YES}, {"f": (2048,)}),
    Sweep("ffn", "block", BOTH, (1024,), {"activation": ("gelu",), "bias": _YES, "norm": ("pre",)}),
    Sweep("moe", "layer", BOTH, (516, 1028, 2052, 4100, 8196, 16388), {"routing": ("balanced",)}),
    Sweep("moe", "layer", BOTH, (1028,), {"routing": ("worst",)}),
    Sweep("moe", "layer", BOTH, (4096,), {"routing": ("balanced",)}, {"E": (8, 16), "k": (1, 2, 4)}),
    Sweep("moe", "layer", BOTH, (4096,), {"routing": ("balanced",), "shared": (1,)}),
    Sweep("moe", "layer", BOTH, (4096,), {"routing": ("capacity",)}, {"c": (512, 1280)}),
    Sweep("recompute", "layer", BOTH, (257, 512, 1000, 2048, 4096, 8192),
          {"attention": ("standard",), "policy": ("none", "layer")}),
    Sweep("recompute", "layer", BOTH, (2048,), {"attention": ("standard",), "policy": ("attention",)}),
    Sweep("recompute", "layer", BOTH, (4096,), {"attention": ("flash",), "policy": ("layer",)}, widths=(64, 128)),
    Sweep("recompute", "stack", ("train",), (4096,), {"attention": ("flash",), "policy": ("none", "layer")}),
    Sweep("recompute", "stack", ("train",), (1024, 2048), {"policy": ("none", "layer")}, {"L": (4,)}),
    Sweep("recompute", "stack", ("train",), (1024,), {"policy": ("segments",)}, {"L": (4,), "s": (2, 4)}),
    Sweep("transformer", "part", BOTH, (1024,), {"part": ("norm", "head", "head and loss", "loss")}),
    Sweep("transformer", "part", BOTH, (1024,),
          {"part": ("embedding",), "positions": _YES, "segments": _NO, "norm": _NO}, {"P": (1024,)}),
    Sweep("transformer", "part", ("forward",), (1000, 16777216), {"part": ("sgd", "adamw")}, length="N"),
    Sweep("optimizers", "part", ("forward",), (1000, 16777216),
          {"optimizer": ("sgd", "adamw", "adamw-8bit"), "precision": ("mixed",)}, length="N"),
    Sweep("optimizers", "part", ("forward",), (16777216,), {"optimizer": ("adamw-8bit",), "precision": ("same",)},
          length="N"),
)  # fmt: skip

"""Copies of tfcost's own techniques and kernels, each a target of a scratch repository of its own.

`files` are copied there from this repository; `entry` is written beside them where a technique needs a caller.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parents[3]
TECHNIQUES = ROOT / "tfcost" / "techniques"


@dataclass(frozen=True)
class Subject:
    """A target: the files it is made of (name there -> path here), its caller, its configuration in YAML."""

    target: str
    files: Mapping[str, Path] = field(default_factory=dict)
    entry: str = ""
    kernels: tuple[str, ...] = ()

    def write(self, folder: Path, name: str) -> None:
        """Makes the scratch repository."""
        for place, source in self.files.items():
            (folder / place).write_text(source.read_text())
        if self.entry:
            (folder / "entry.py").write_text(self.entry)
        for kernel in self.kernels:
            package = folder / "tfcost_kernels" / kernel
            package.mkdir(parents=True)
            for source in (ROOT / "kernels" / kernel).glob("*.py"):
                (package / source.name).write_text(source.read_text())
        indented = "".join(f"    {line}\n" for line in self.target.strip().splitlines())
        (folder / "tfcost.yaml").write_text(f"targets:\n  {name}:\n{indented}")


_STANDARD = """
function: attention.py:attention
dims: [b, h_kv, r, n, m, d_h]
shapes: {q: "b,h_kv*r,n,d_h", k: "b,h_kv,m,d_h", v: "b,h_kv,m,d_h"}
passes: [forward, backward]
"""
_FLASH = """
function: tfcost_kernels.flash:flash_attention
dims: [b, h, n, d_h=64]
shapes: {q: "b,h,n,d_h", k: "b,h,n,d_h", v: "b,h,n,d_h"}
"""
_CAUSAL_ENTRY = """
from tfcost.techniques import masks
from attention import attention


def causal(q, k, v):
    return attention(q, k, v, causal=True)
"""
_LAYER_ENTRY = """
from layers import attention_layer
from tfcost.techniques.standard import attention


def layer(x, w_q, w_k, w_v, w_o, h, d_h):
    return attention_layer(x, w_q, w_k, w_v, w_o, h, h, d_h, attention, False)
"""
_RECOMPUTE_ENTRY = """
from recompute import layer
from tfcost.techniques.standard import attention


def checkpointed(x, h, d_h, **weights):
    return layer(x, "layer", attention, h=h, h_kv=h, d_h=d_h, strided=False, **weights)
"""
_PROJECTIONS = 'w_q: "h*d_h,d:parameter", w_k: "h*d_h,d:parameter", w_v: "h*d_h,d:parameter", w_o: "d,h*d_h:parameter"'
_NORMS = ", ".join(f'{kind}_{place}: "d:parameter"' for kind in ("scale", "shift") for place in (1, 2))
_CACHE_ENTRY = """
from kv_cache import attention_step
from tfcost.techniques.standard import attention


def decode(x, w_q, w_k, w_v, w_o, k_cache, v_cache, m, h, d_h):
    token = x[:, -1:]
    return attention_step(token, w_q, w_k, w_v, w_o, k_cache, v_cache, m, h, h, d_h, attention)
"""
_ATTEND_ENTRY = """
from tfcost.steps import step
from tfcost_kernels.flash import flash_attention


def attend(q, k, v):
    with step("attention"):
        return flash_attention(q, k, v)
"""

SUBJECTS = {
    "standard": Subject(_STANDARD, {"attention.py": TECHNIQUES / "standard.py"}),
    "causal": Subject(
        _STANDARD.replace("attention.py:attention", "entry.py:causal").replace(", backward", ""),
        {"attention.py": TECHNIQUES / "standard.py"}, _CAUSAL_ENTRY,
    ),
    "flash": Subject(f"{_FLASH}passes: [forward, backward]", kernels=("common", "flash")),
    "flash-causal": Subject(f"{_FLASH}args: {{causal: true}}", kernels=("common", "flash")),
    "dispatch": Subject(_FLASH.replace("tfcost_kernels.flash:flash_attention", "entry.py:attend"), entry=_ATTEND_ENTRY),
    "window": Subject(
        _FLASH.replace("flash:flash", "window:window").replace("n, d_h", "n, w, d_h") + "args: {w: w, causal: true}",
        kernels=("common", "flash", "window"),
    ),
    "linear": Subject(
        _STANDARD.replace("attention.py", "linear.py"), {"linear.py": TECHNIQUES / "linear.py"}
    ),
    "ffn": Subject(
        """
function: ffn.py:feed_forward
dims: [b, n, d, f]
shapes: {x: "b,n,d", w_1: "f,d:parameter", w_2: "d,f:parameter"}
args: {activation: gelu}
passes: [forward, backward]
""",
        {"ffn.py": TECHNIQUES / "ffn.py"},
    ),
    "layer": Subject(
        f"""
function: entry.py:layer
dims: [b, n, h, d_h, d]
shapes: {{x: "b,n,d", {_PROJECTIONS}}}
args: {{h: h, d_h: d_h}}
passes: [forward, backward]
""",
        {"layers.py": TECHNIQUES / "layers.py"}, _LAYER_ENTRY,
    ),
    "recompute": Subject(
        f"""
function: entry.py:checkpointed
dims: [b, n, h, d_h, d, f]
shapes: {{x: "b,n,d", {_PROJECTIONS}, w_1: "f,d:parameter", w_2: "d,f:parameter", {_NORMS}}}
args: {{h: h, d_h: d_h}}
passes: [forward, backward]
""",
        {"recompute.py": TECHNIQUES / "recompute.py"}, _RECOMPUTE_ENTRY,
    ),
    "top-k": Subject(
        """
function: top_k.py:attention
dims: [b, h_kv, blocks, e, t, r, d_h=64]
shapes: {q: "b,h_kv*r,64*t,d_h", k: "b,h_kv,64*e,d_h", v: "b,h_kv,64*e,d_h"}
args: {blocks: blocks}
passes: [forward, backward]
""",
        {"top_k.py": TECHNIQUES / "top_k.py"}, kernels=("common", "gather", "flash"),
    ),
    "moe": Subject(
        """
function: moe.py:with_capacity
dims: [b, n, k, E, d, f, c]
shapes:
  {x: "b,n,d", w_router: "E,d:parameter", w_gate: "E,f,d:parameter", w_up: "E,f,d:parameter", w_down: "E,d,f:parameter"}
args: {k: k, c: c}
passes: [forward, backward]
""",
        {"moe.py": TECHNIQUES / "moe.py"}, kernels=("common", "moe", "ffn"),
    ),
    "cache": Subject(
        f"""
function: entry.py:decode
dims: [b, m, h, d_h, d]
shapes: {{x: "b,m,d", {_PROJECTIONS}, k_cache: "b,h,m,d_h", v_cache: "b,h,m,d_h"}}
args: {{h: h, d_h: d_h, m: m}}
""",
        {"kv_cache.py": TECHNIQUES / "kv_cache.py"}, _CACHE_ENTRY,
    ),
}  # fmt: skip

"""Compiles Triton kernels on a machine without a GPU: a kernel's TTIR as text, and what a full build needs on chip.

Works with Triton 3.6 to 3.9. The target is an NVIDIA GPU of compute capability 9.0 unless said otherwise.
"""

import inspect
import re
import subprocess
import tempfile
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from triton import knobs
from triton._C.libtriton import ir
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource, CompilationError
from triton.compiler import compile as compile_kernel
from triton.compiler.compiler import make_backend
from triton.runtime.jit import JITFunction

from tfcost.derive.errors import DerivationError

HOPPER = GPUTarget("cuda", 90, 32)


@dataclass(frozen=True, slots=True)
class Build:
    """What ptxas and Triton report: shared memory of one program in bytes, registers and spilled bytes per thread."""

    shared_bytes: int
    registers: int
    spilled_bytes: int


def ttir_text(
    kernel: JITFunction[Any],
    signature: Mapping[str, str],
    constexprs: Mapping[str, Any],
    num_warps: int = 4,
    num_stages: int = 3,
    target: GPUTarget = HOPPER,
) -> str:
    """The kernel's TTIR with source locations, as the compiler prints it after its first passes.

    `signature` maps every parameter to "*fp16", "i32", "fp32", "tensordesc<fp16[64,32]>", ... or "constexpr";
    `constexprs` gives the constexprs' values. Raises `DerivationError` if the kernel does not compile.
    """
    backend = make_backend(target)
    options = backend.parse_options(_options(num_warps, num_stages))
    context = ir.context()
    ir.load_dialects(context)
    backend.load_dialects(context)
    source = _source(kernel, signature, constexprs)
    try:
        module = source.make_ir(
            target, options, backend.get_codegen_implementation(options), backend.get_module_map(), context
        )
    except CompilationError as error:
        raise DerivationError(f"{kernel.fn.__module__}.{kernel.fn.__name__} does not compile: {error}") from error
    return str(_first_passes(backend, module, options, target))


def compile_metadata(
    kernel: JITFunction[Any],
    signature: Mapping[str, str],
    constexprs: Mapping[str, Any],
    num_warps: int = 4,
    num_stages: int = 3,
    target: GPUTarget = HOPPER,
    aligned: Collection[str] = (),
) -> Build:
    """Builds the kernel down to machine code and reads its resource usage. Arguments as for `ttir_text`.

    `aligned` names the parameters known to be multiples of 16 (addresses, strides): without them nothing is
    prefetched, and less shared memory is used than in a real launch.
    """
    source = _source(kernel, signature, constexprs, aligned)
    compiled = compile_kernel(source, target=target, options=_options(num_warps, num_stages))
    usage = _resource_usage(compiled.asm["cubin"], compiled.metadata.name)
    return Build(int(compiled.metadata.shared), usage["REG"], usage["LOCAL"] + usage["STACK"])


def _source(
    kernel: JITFunction[Any], signature: Mapping[str, str], constexprs: Mapping[str, Any], aligned: Collection[str] = ()
) -> ASTSource:
    if not isinstance(kernel, JITFunction):
        raise DerivationError(f"{kernel!r} is not a compiled Triton kernel (is TRITON_INTERPRET set?)")
    hints = {(kernel.arg_names.index(name),): [["tt.divisibility", 16]] for name in aligned}
    return ASTSource(fn=kernel, signature=dict(signature), constexprs=dict(constexprs), attrs=hints)


def _options(num_warps: int, num_stages: int) -> dict[str, Any]:
    # Fusing a*b + c is what every release so far does; left out, newer ones warn that the default will change.
    return {"num_warps": num_warps, "num_stages": num_stages, "enable_fp_fusion": True}


def _first_passes(backend: Any, module: Any, options: Any, target: GPUTarget) -> Any:
    """The passes that produce TTIR: inlining, canonicalisation, common subexpressions."""
    if "capability" in inspect.signature(backend.make_ttir).parameters:
        return backend.make_ttir(module, {}, options, target.arch)
    return backend.make_ttir(module, {}, options)


def _resource_usage(cubin: bytes, name: str) -> dict[str, int]:
    """Cuobjdump's `REG:40 STACK:0 SHARED:0 LOCAL:0 ...` line for one kernel."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "kernel.cubin"
        path.write_bytes(cubin)
        command = [knobs.nvidia.cuobjdump.path, "--dump-resource-usage", str(path)]
        printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    match = re.search(rf"Function {re.escape(name)}:\s*(.*)", printed)
    if match is None:
        raise DerivationError(f"cuobjdump does not report the resources of {name}")
    return {key: int(value) for key, value in re.findall(r"([A-Z]+):(\d+)", match[1])}

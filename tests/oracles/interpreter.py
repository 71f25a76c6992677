"""What a Triton launch really does, counted while Triton's CPU interpreter runs it.

Independent of the derivation: no IR, no formulas. Kernels become interpreted when they are decorated, so the launchers
run in a process of their own with TRITON_INTERPRET=1: `count_launches(path, calls)` imports the file there, calls each
launcher with its arguments, and returns what each call did.
"""

import importlib.util
import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

_FLOAT_OPERATIONS = [
    *("create_fadd", "create_fsub", "create_fmul", "create_fdiv", "create_fneg", "create_fma", "create_fabs"),
    *("create_exp", "create_exp2", "create_log", "create_log2", "create_sqrt", "create_rsqrt"),
    *("create_maxnumf", "create_minnumf", "create_maximumf", "create_minimumf"),
]

Call = tuple[str, dict[str, Any]]


def count_launches(path: Path, calls: list[Call]) -> list[dict[str, int]]:
    """Per call: FLOPs of `dot`, bytes of active lanes of `load`, `store`, `atomic`, and "load Q" and so on per tensor.

    Launchers take JSON-able arguments and launch on CPU tensors. `float` counts floating-point operations outside of
    reductions, element by element.
    """
    environment = {
        **os.environ, "TRITON_INTERPRET": "1", "PYTHONPATH": os.pathsep.join(sys.path),
        "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1",
    }  # fmt: skip
    command = [sys.executable, "-P", "-W", "ignore", __file__, str(path)]
    run = subprocess.run(command, input=json.dumps(calls), env=environment, capture_output=True, text=True, check=False)
    if run.returncode:
        raise RuntimeError(run.stderr[-3000:])
    return json.loads(run.stdout.splitlines()[-1])


class _Counts:
    """Wraps the interpreter's builder; `counter` is reset for each call."""

    def __init__(self) -> None:
        from triton.runtime import interpreter

        self.counter: Counter[str] = Counter()
        self._ranges: list[tuple[int, int, str]] = []
        builder = interpreter.InterpreterBuilder
        self._wrap(builder, "create_dot", self._dot)
        self._wrap(builder, "create_masked_load", lambda b, ptrs, mask, *rest, **kw: self._access("load", ptrs, mask))
        self._wrap(
            builder, "create_masked_store", lambda b, ptrs, value, mask, *rest, **kw: self._access("store", ptrs, mask)
        )
        self._wrap(builder, "create_atomic_rmw", lambda b, op, ptr, val, mask, *rest: self._access("atomic", ptr, mask))
        self._wrap(builder, "create_atomic_cas", lambda b, ptr, *rest: self._access("atomic", ptr, None))
        for name in _FLOAT_OPERATIONS:
            if hasattr(builder, name):
                self._wrap(builder, name, self._float)
        self._watch_arguments(interpreter.GridExecutor)

    def _wrap(self, owner: type, name: str, count: Any) -> None:
        original = getattr(owner, name)

        def counted(*args: Any, **kwargs: Any) -> Any:
            count(*args, **kwargs)
            return original(*args, **kwargs)

        setattr(owner, name, counted)

    def _dot(self, builder: Any, a: Any, b: Any, *rest: Any, **kwargs: Any) -> None:
        self.counter["dot"] += 2 * a.data.size * b.data.shape[-1]

    def _float(self, builder: Any, first: Any, *rest: Any, **kwargs: Any) -> None:
        self.counter["float"] += max(operand.data.size for operand in (first, *rest))

    def _access(self, kind: str, pointers: Any, mask: Any) -> None:
        import numpy as np

        data = np.asarray(pointers.data)
        active = np.ones(data.shape, bool) if mask is None else np.broadcast_to(mask.data, data.shape)
        touched = data[active]
        size = int(touched.size) * (pointers.get_element_ty().primitive_bitwidth // 8)
        self.counter[kind] += size
        if touched.size:
            self.counter[f"{kind} {self._owner(int(touched.min()))}"] += size

    def _owner(self, address: int) -> str:
        return next((name for start, stop, name in self._ranges if start <= address < stop), "?")

    def _watch_arguments(self, executor: type) -> None:
        original = executor._init_args_hst  # type: ignore[attr-defined]

        def watched(grid: Any, args: Any, kwargs: Any) -> Any:
            on_host, named = original(grid, args, kwargs)
            tensors = {**dict(zip(grid.arg_names, on_host, strict=False)), **named}
            self._ranges = []
            for name, value in tensors.items():
                tensor = getattr(value, "base", value) if not hasattr(value, "data_ptr") else value
                if hasattr(tensor, "data_ptr"):
                    start = tensor.data_ptr()
                    self._ranges.append((start, start + tensor.untyped_storage().nbytes(), name))
            return on_host, named

        executor._init_args_hst = watched  # type: ignore[attr-defined]


def _main() -> None:
    counts = _Counts()
    specification = importlib.util.spec_from_file_location("launchers", sys.argv[1])
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    sys.modules["launchers"] = module
    specification.loader.exec_module(module)
    found = []
    for launcher, arguments in json.loads(sys.stdin.read()):
        counts.counter.clear()
        getattr(module, launcher)(**arguments)
        found.append(dict(counts.counter))
    print(json.dumps(found))


if __name__ == "__main__":
    _main()

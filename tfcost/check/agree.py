"""Whether a kernel computes what its reference does: a job on stdin, one line of JSON on stdout; run as a program.

Both run on small random tensors on the CPU, kernels in Triton's interpreter. The kernel's error against the reference
in double precision may be twice that of the reference in the run's own precision, as in FlashAttention's own tests.
"""

import inspect
import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from contextlib import redirect_stdout
from typing import Any

from tfcost.check.job import Job
from tfcost.errors import UserError
from tfcost.formula import Formula

_SIZES = {"b": 2, "h": 4, "h_kv": 2, "r": 2, "n": 70, "m": 70, "d_h": 32, "d": 64}
_OTHER = 16
# Roundings of single precision that are forgiven where the reference happens to be exact.
_ROUNDINGS = 16 * 2.0**-24
# The interpreter multiplies bfloat16 as raw integers.
_DTYPES = {"bfloat16": "float16"}


def disagreement(job: Job, environment: Mapping[str, str]) -> str:
    """How the target of `job` fails its reference, in one line; "" if it agrees."""
    interpreted = {**environment, "TRITON_INTERPRET": "1"}
    command = [sys.executable, "-P", "-m", "tfcost.check.agree"]
    try:
        done = subprocess.run(
            command,
            input=job.text,
            capture_output=True,
            text=True,
            env=interpreted,
            timeout=job.time_limit,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return f"did not finish within its time limit of {job.time_limit} s beside its reference"
    try:
        answer: str = json.loads(done.stdout.splitlines()[-1])["disagreement"]
    except (IndexError, ValueError, KeyError):
        last = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
        return f"could not be run beside its reference: {last[:300]}"
    return answer


def main() -> None:
    """Answers the job on stdin."""
    job = Job.parse(sys.stdin.read())
    with redirect_stdout(sys.stderr):
        os.chdir(job.root)
        sys.path.insert(0, job.root)
        try:
            answer = _compared(job)
        except UserError as error:
            answer = str(error)
    print(json.dumps({"disagreement": answer}))


def _compared(job: Job) -> str:
    import torch

    from tfcost.check.derive import function_variant, technique_variant
    from tfcost.derive.target import load_function

    _, variant = technique_variant(job) if job.technique else function_variant(job)
    reference = load_function(job.reference)
    dtype = getattr(torch, _DTYPES.get(job.dtype, job.dtype))
    torch.manual_seed(0)
    arguments = _arguments(variant.subject, dtype, job.reference_sizes)
    backward = "backward" in job.passes and variant.backward
    got = _results(variant.subject.function, arguments, backward)
    same = _results(_accepting(reference), arguments, backward)
    exact = _results(_accepting(reference), {name: _double(value) for name, value in arguments.items()}, backward)
    if len(got) != len(exact) or any(g.shape != e.shape for g, e in zip(got, exact, strict=False)):
        shapes = [[list(tensor.shape) for tensor in tensors] for tensors in (got, exact)]
        return f"returns tensors of shapes {shapes[0]}, its reference {shapes[1]}"
    for place, (mine, torchs, truth) in enumerate(zip(got, same, exact, strict=True)):
        error, allowed = _largest(mine.double() - truth), 2 * _largest(torchs.double() - truth)
        allowed += _ROUNDINGS * _largest(truth)
        if not error <= allowed:
            return f"is off by {error:.2g} where {allowed:.2g} is allowed, in result {place} of {job.reference}"
    return ""


def _arguments(subject: Any, dtype: Any, sizes: Mapping[str, int]) -> dict[str, Any]:
    import torch

    from tfcost.derive.subject import Size, Tensor, parse_shape

    values = {name: _SIZES.get(name, _OTHER) for name in subject.sizes} | {**subject.fixed, **sizes}
    made: dict[str, Any] = {}
    for name, argument in subject.arguments.items():
        if isinstance(argument, Tensor):
            shape = [int(extent.evaluate(values)) for extent in parse_shape(argument.shape)]
            kind = argument.dtype or (torch.int64 if argument.role == "index" else dtype)
            made[name] = torch.randn(shape).to(kind) if kind.is_floating_point else torch.zeros(shape, dtype=kind)
        else:
            made[name] = int(Formula(argument.expression).evaluate(values)) if isinstance(argument, Size) else argument
    return made


def _results(function: Callable[..., Any], arguments: Mapping[str, Any], backward: bool) -> list[Any]:
    """The tensors that `function` returns, and with `backward` the gradients of what it is given."""
    import torch

    from tfcost.derive.harness import tensors_in

    given = dict(arguments)
    leaves = []
    for name, value in arguments.items():
        if backward and isinstance(value, torch.Tensor) and value.is_floating_point():
            given[name] = value.detach().clone().requires_grad_()
            leaves.append(given[name])
    outputs = tensors_in(function(**given))
    found = [output.detach() for output in outputs]
    if leaves:
        with_gradient = [output for output in outputs if output.requires_grad]
        generator = torch.Generator().manual_seed(1)
        seeds = [torch.randn(output.shape, generator=generator).to(output.dtype) for output in with_gradient]
        found += [g for g in torch.autograd.grad(with_gradient, leaves, seeds, allow_unused=True) if g is not None]
    return found


def _accepting(function: Callable[..., Any]) -> Callable[..., Any]:
    """`function`, given only the arguments that it has."""
    parameters = inspect.signature(function).parameters
    if any(one.kind is inspect.Parameter.VAR_KEYWORD for one in parameters.values()):
        return function
    return lambda **arguments: function(**{name: value for name, value in arguments.items() if name in parameters})


def _double(value: Any) -> Any:
    return value.double() if hasattr(value, "is_floating_point") and value.is_floating_point() else value


def _largest(tensor: Any) -> float:
    return float(tensor.abs().max()) if tensor.numel() else 0.0


if __name__ == "__main__":
    main()

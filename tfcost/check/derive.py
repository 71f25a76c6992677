"""A job to its costs, by the same path as `tfcost derive`: a technique's variant, or a function of the user's.

This module needs torch; it runs in the processes that `tfcost.check.server` starts, never in the command's own.
"""

import importlib
import inspect
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch

from tfcost.check.job import Job
from tfcost.cost import Cost
from tfcost.derive.costs import derive_variant
from tfcost.derive.discovery import techniques
from tfcost.derive.subject import Subject, Tensor
from tfcost.derive.target import load_function, subject_of
from tfcost.derive.technique import Technique, Variant
from tfcost.errors import UserError, nearest

_OPTIONS = {"--dim": "dims", "--shape": "shapes", "--arg": "args"}


def derive_job(job: Job) -> tuple[Technique, list[Cost]]:
    """The costs of the job's passes, and the technique they belong to. UserError if the target cannot be derived."""
    technique, variant = technique_variant(job) if job.technique else function_variant(job)
    variant = replace(variant, dtypes=(job.dtype,), backward=variant.backward and "backward" in job.passes, tiled=None)
    wanted = {variant.forward if name == "forward" else name for name in job.passes}
    costs = [cost for cost in derive_variant(technique, variant) if cost.pass_ in wanted]
    missing = wanted - {cost.pass_ for cost in costs}
    if missing:
        raise UserError(f"there is no {min(missing)} pass; there is: {', '.join(cost.pass_ for cost in costs)}")
    return technique, costs


def technique_variant(job: Job) -> tuple[Technique, Variant]:
    """The variant that the job's scope, options and head width pick; options that it does not give have defaults."""
    technique = _technique(job.technique)
    variants = list(technique.variants())
    scopes = list(dict.fromkeys(variant.scope for variant in variants))
    scope = job.scope or scopes[0]
    if scope not in scopes:
        raise UserError(f"{technique.name}: no scope '{scope}'{nearest(scope, scopes)}")
    variants = [variant for variant in variants if variant.scope == scope]
    for name, value in job.options.items():
        variants = _picked(technique, variants, name, value)
    for name, option in technique.options.items():
        usual = [v for v in variants if v.options.get(name, option.default) == option.default]
        variants = usual if name not in job.options and usual else variants
    if job.d_h is not None:
        widths = {variant.subject.fixed["d_h"] for variant in variants if "d_h" in variant.subject.fixed}
        if widths and job.d_h not in widths:
            known = ", ".join(map(str, sorted(widths)))
            raise UserError(f"{technique.name}: no variant with d_h = {job.d_h}; there is: {known}")
        variants = [v for v in variants if v.subject.fixed.get("d_h", job.d_h) == job.d_h]
    variant = variants[0]
    if job.dtype not in variant.dtypes:
        raise UserError(f"{technique.name}: not derived in {job.dtype}; there is: {', '.join(variant.dtypes)}")
    return technique, variant


def _technique(name: str) -> Technique:
    try:
        # Only the technique's own module, so that a change of another one does not make this result stale.
        found = getattr(importlib.import_module(f"tfcost.techniques.{name.replace('-', '_')}"), "TECHNIQUE", None)
    except ModuleNotFoundError:
        found = None
    if isinstance(found, Technique) and found.name == name:
        return found
    known = techniques()
    if name not in known:
        raise UserError(f"unknown technique '{name}'{nearest(name, known)}")
    return known[name]


def _picked(technique: Technique, variants: list[Variant], name: str, value: object) -> list[Variant]:
    known = {option for variant in variants for option in variant.options}
    if name not in known:
        raise UserError(f"{technique.name}: no option '{name}'{nearest(name, known)}")
    wanted = str(value).lower()
    found = [variant for variant in variants if str(variant.options.get(name)).lower() == wanted]
    if not found:
        values = {str(variant.options[name]).lower() for variant in variants if name in variant.options}
        raise UserError(f"{technique.name}: {name} = '{wanted}'{nearest(wanted, values)}")
    return found


def function_variant(job: Job) -> tuple[Technique, Variant]:
    """The user's function, module or launcher, called as the job says."""
    found = load_function(job.function)
    function, weights = _as_function(found, job) if _is_module(found) or job.init is not None else (found, {})
    try:
        subject = subject_of(function, job.dims, _pairs(job.shapes), _pairs(job.args))
    except UserError as error:
        raise UserError(_in_words_of_the_file(str(error))) from None
    arguments = {**subject.arguments, **weights}
    subject = Subject(function, arguments, subject.sizes, subject.fixed)
    variant = Variant("function", {}, subject, dtypes=(job.dtype,), backward="backward" in job.passes)
    return Technique(job.name, job.name, "", "torch", job.function, lambda: [variant]), variant


def _is_module(found: Any) -> bool:
    return isinstance(found, torch.nn.Module) or (inspect.isclass(found) and issubclass(found, torch.nn.Module))


def _as_function(found: Any, job: Job) -> tuple[Any, dict[str, Tensor]]:
    """A torch module as a function of its inputs and, by their names in it, of its parameters and buffers."""
    module = found
    if not isinstance(found, torch.nn.Module):
        try:
            with torch.device("meta"):
                module = found(**{name: _literal(value) for name, value in (job.init or {}).items()})
        except Exception as error:
            raise UserError(f"{job.function} cannot be made with init {dict(job.init or {})}: {error}") from error
    if not isinstance(module, torch.nn.Module):
        raise UserError(f"{job.function} with init makes {type(module).__name__}, not a torch module")
    weights = {name: Tensor(_shape(one), "parameter") for name, one in module.named_parameters()}
    buffers = {name: Tensor(_shape(one), "index", one.dtype) for name, one in module.named_buffers()}
    own = {**weights, **buffers}

    def call(**arguments: Any) -> Any:
        state = {name: arguments.pop(name) for name in own}
        return torch.func.functional_call(module, state, (), arguments)

    # What `subject_of` checks the arguments against is the module's own signature.
    call.__signature__ = inspect.signature(module.forward)  # type: ignore[attr-defined]
    call.__name__ = type(module).__name__
    return call, own


def _shape(tensor: torch.Tensor) -> str:
    return ",".join(map(str, tensor.shape))


def _literal(value: object) -> object:
    if isinstance(value, str):
        for kind in (int, float):
            try:
                return kind(value)
            except ValueError:
                continue
    return value


def _pairs(mapping: Mapping[str, object]) -> list[str]:
    return [f"{name}={'none' if value is None else str(value).lower() if isinstance(value, bool) else value}"
            for name, value in mapping.items()]  # fmt: skip


def _in_words_of_the_file(message: str) -> str:
    for option, key in _OPTIONS.items():
        message = message.replace(option, key)
    return message

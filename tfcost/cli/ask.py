"""From the shared options of the command line to queries: what `compare` and `explain` have in common."""

from collections.abc import Collection, Iterable, Sequence
from contextlib import suppress
from typing import Any

from tfcost.analysis.conditions import DoesNotApplyError, inexact
from tfcost.analysis.model import ModelCost
from tfcost.analysis.query import (
    Query,
    check_used,
    choose_options,
    default_pass,
    fill_sizes,
    full_dtype,
    offered_options,
)
from tfcost.book import Book
from tfcost.cli.options import Question
from tfcost.cli.output import warn
from tfcost.errors import UserError, nearest
from tfcost.symbols import SYMBOLS

_MODEL_SIZES = ("n", "b", "d", "h", "h_kv", "d_h", "L", "f", "c", "V")
_SCOPES = ("core", "layer", "block", "part", "stack")
_SHOWN_TOGETHER = ("core", "layer")


def queries(techniques: Sequence[str], question: Question, book: Book, scope: str) -> list[Query]:
    """One query per technique.

    UserError for an unknown technique, for a size or option that none of them uses, and for values that cannot be.
    """
    given, texts = question.values(), question.options()
    found = [
        Query(
            technique,
            scope,
            question.pass_ or default_pass(book.record(technique), scope),
            full_dtype(question.dtype or "bfloat16"),
            choose_options(offered_options(book.record(technique), scope), texts, technique),
            fill_sizes(given, book.record(technique).defaults),
        )
        for technique in techniques
    ]
    check_used(given, texts, found, book)
    return found


def queries_by_scope(techniques: Sequence[str], question: Question, book: Book) -> list[list[Query]]:
    """The queries at every scope to be shown: those of `common_scopes`, the further ones only where they apply (a
    layer has no keys but its queries, so a comparison with other keys ends at the core).
    """
    first, *others = common_scopes(techniques, question, book)
    found = [queries(techniques, question, book, first)]
    for scope in others:
        with suppress(DoesNotApplyError):
            found.append(queries(techniques, question, book, scope))
    return found


def common_scopes(techniques: Sequence[str], question: Question, book: Book) -> list[str]:
    """The scope asked for; or, of those that all techniques have costs for, core and layer, or else the first.

    UserError for an unknown scope, and if the techniques have none in common.
    """
    if question.scope is not None:
        if question.scope not in _SCOPES:
            raise UserError(f"--scope: unknown scope '{question.scope}'{nearest(question.scope, _SCOPES)}")
        return [question.scope]
    having = {technique: _scopes(technique, book) for technique in techniques}
    common = [scope for scope in _SCOPES if all(scope in scopes for scopes in having.values())]
    if not common:
        shown = "; ".join(f"{technique}: {', '.join(sorted(scopes))}" for technique, scopes in having.items())
        raise UserError(f"these techniques have no scope in common ({shown})")
    return [scope for scope in common if scope in _SHOWN_TOGETHER] or common[:1]


def _scopes(technique: str, book: Book) -> set[str]:
    return {cost.scope for cost in book.record(technique).costs}


def warn_about(asked: Iterable[Query], book: Book, given_options: Collection[str], quiet: bool) -> None:
    """Warns where formulas are not exact, and of given options that a technique does not have; of each thing once."""
    warnings: dict[str, None] = {}
    for query in asked:
        told = [f"{query.technique}: {reason}" for reason in inexact(query.cost(book).assumptions, query.values)]
        told += [
            f"{query.technique} has no option '{name}' and is shown as it is"
            for name in given_options
            if name not in query.options
        ]
        warnings |= dict.fromkeys(told)
    for warning in warnings:
        warn(warning, quiet)


def warn_inexact(cost: ModelCost, quiet: bool) -> None:
    """Warns where the formulas of a whole model are not exact."""
    for reason in inexact(cost.assumptions, cost.values):
        warn(f"{cost.name}: {reason}", quiet)


def config_overrides(question: Question) -> dict[str, Any]:
    """The fields of a model configuration that the command line gives. UserError for an option that is none."""
    if question.scope is not None:
        raise UserError("--scope is not used for whole models, which show steps, parts, a layer and the model")
    known = (*_MODEL_SIZES, "m") if question.pass_ == "decode" else _MODEL_SIZES
    for name in question.sizes:
        if name not in known:
            shown = ", ".join(known)
            raise UserError(f"{SYMBOLS[name].option} is not used for whole models; used there: {shown}")
    options = question.options()
    overrides: dict[str, Any] = dict(question.sizes)
    if question.causal is not None:
        overrides["causal"] = question.causal
    if question.dtype is not None:
        overrides["dtype"] = full_dtype(question.dtype)
    options.pop("causal", None)
    if options:
        overrides["attention_options"] = options
    return overrides

"""Batches on the command line: --lengths, --cached or --prefill-chunk in; a report of what they cost exactly, out."""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace

from tfcost.analysis.answer import answer
from tfcost.analysis.batches import Batch, decoding, sequences
from tfcost.analysis.devices import DEFAULT_DEVICE
from tfcost.analysis.machines import load_machine
from tfcost.analysis.predict import Machine
from tfcost.analysis.prefill import in_chunks
from tfcost.analysis.query import DEFAULT_SIZES, Found, Query, fill_sizes
from tfcost.analysis.whole import At, whole_technique
from tfcost.book import Book, load_book
from tfcost.cli.ask import common_scopes, queries, warn_about
from tfcost.cli.options import BatchOptions, Destination, Question
from tfcost.errors import UserError
from tfcost.numbers import parse_count
from tfcost.report.batches import Asked, Batched, BatchTold, batch_report
from tfcost.report.document import answer_document, header, used_symbols
from tfcost.report.page import Report
from tfcost.report.words import options_text, sizes_line

MOST_SEQUENCES = 4096
_SIZES_TAKEN = {"lengths": ("n", "m", "b"), "cached": ("m", "b"), "prefill-chunk": ("m",)}
_INSTEAD = {
    "lengths": "it says how many sequences there are and how long each is",
    "cached": "it says how many sequences there are and how long each is",
    "prefill-chunk": "the keys of a chunk are all tokens so far",
}


def asked_batch(options: BatchOptions, question: Question) -> Asked:
    """The batch that is asked about. UserError for more than one, for numbers that are none, and for sizes that the
    batch itself decides.
    """
    if len(options.given) > 1:
        raise UserError(f"{' and '.join(f'--{kind}' for kind in options.given)} exclude each other")
    ((kind, text),) = options.given.items()
    for name in _SIZES_TAKEN[kind]:
        if name in question.sizes:
            raise UserError(f"--{name} is not used with --{kind}: {_INSTEAD[kind]}")
    if question.lengths():
        raise UserError(f"--{kind} needs a single --n")
    if kind == "cached" and question.pass_ not in (None, "decode"):
        raise UserError(f"--cached is about decoding, not about --pass {question.pass_}")
    if kind == "prefill-chunk" and question.pass_ not in (None, "forward", "prefill"):
        raise UserError(f"--prefill-chunk is about a forward pass, not about --pass {question.pass_}")
    return Asked(kind, _numbers(kind, text))


def _numbers(kind: str, text: str) -> tuple[int, ...]:
    parts = [text] if kind == "prefill-chunk" else text.split(",")
    if len(parts) > MOST_SEQUENCES:
        raise UserError(f"--{kind}: {len(parts)} sequences, of at most {MOST_SEQUENCES}")
    try:
        return tuple(parse_count(part, "n") for part in parts)
    except UserError as error:
        raise UserError(f"--{kind}: {error}") from None


def longest(asked: Asked, question: Question) -> Question:
    """The question about the padded batch, or the prompt at once."""
    most, count = str(max(asked.numbers)), str(len(asked.numbers))
    match asked.kind:
        case "lengths":
            return replace(question, sizes={**question.sizes, "n": most, "b": count})
        case "cached":
            return replace(question, pass_="decode", sizes={**question.sizes, "m": most, "b": count})
        case _:
            return question


def batch_of(asked: Asked, at: At, n: int, book: Book, device: Machine) -> Batch:
    """What the batch costs that is asked about; `n`: the tokens of a prompt. UserError where it has no formulas."""
    match asked.kind:
        case "lengths":
            return sequences(at, asked.numbers, device)
        case "cached":
            return decoding(at, asked.numbers, device)
        case _:
            return in_chunks(at, n, asked.numbers[0], book, device)


def batch_of_techniques(techniques: list[str], asked: Asked, question: Question, destination: Destination) -> Report:
    """What the batch costs with each of `techniques`, at every scope that has formulas for it."""
    book, device = load_book(), load_machine(question.device or DEFAULT_DEVICE)
    whole = longest(asked, question)
    n = question.values().get("n", DEFAULT_SIZES["n"])

    def of_scope(scope: str) -> tuple[list[Query], Batched]:
        # A state or a window is as large whatever is in the cache: m is no size that some technique must use.
        asking = queries(techniques, whole.without("m"), book, scope)
        found = [replace(one, values=_sizes(one, whole, book)) for one in asking]
        batches = {one.technique: batch_of(asked, _at(one, whole, book), n, book, device) for one in found}
        return found, Batched(scope, batches)

    first, *others = common_scopes(techniques, whole, book)
    every = [of_scope(first)]
    for scope in others:
        with suppress(UserError):  # what the core alone has formulas for ends there
            every.append(of_scope(scope))
    found = [Found(query, query.cost(book)) for same_scope, _ in every for query in same_scope]
    warn_about([one.query for one in found], book, list(question.options()), destination.quiet)
    symbols = used_symbols(found)
    query = found[0].query
    told = BatchTold(
        "compare",
        techniques,
        (
            f"{query.pass_}, {query.dtype}, {sizes_line(_decided(asked, symbols))}",
            *dict.fromkeys(f"{one.query.technique}: {options_text(one)}" for one in found),
        ),
        lambda: (
            header("compare", query.dtype, symbols)
            | {"results": [answer_document(answer(one.query, book)) for one in found]}
        ),
    )
    return batch_report(asked, n, [batched for _, batched in every], told, device)


def _decided(asked: Asked, symbols: Mapping[str, int]) -> dict[str, int]:
    """The sizes that are the same for all of the batch."""
    return {name: size for name, size in symbols.items() if name not in _SIZES_TAKEN[asked.kind]}


def _at(query: Query, question: Question, book: Book) -> At:
    return lambda sizes: whole_technique(replace(query, values=_sizes(query, question, book, sizes)), book)


def _sizes(query: Query, question: Question, book: Book, changed: Mapping[str, int] | None = None) -> dict[str, int]:
    return fill_sizes({**question.values(), **(changed or {})}, book.record(query.technique).defaults)

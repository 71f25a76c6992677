"""`tfcost analyze --solve` and `--fit`: from their options to what is told about a memory's size."""

from typing import TYPE_CHECKING

from tfcost.errors import UserError

if TYPE_CHECKING:
    from tfcost.analysis.predict import Machine
    from tfcost.book import Book
    from tfcost.config.model import ModelConfig
    from tfcost.report.page import Report


def fit_report(
    config: "ModelConfig", book: "Book", pass_: str, device: "Machine", solve: str | None, fit: str | None
) -> "Report":
    """The largest value of `solve`, or without it what would make the model fit, in `fit` bytes (None: those of
    `device`). UserError for an amount or a symbol that is none.
    """
    memory, where = _memory(fit, device)
    if solve is not None:
        from tfcost.analysis.fit import largest_fit
        from tfcost.report.fit import solved_report

        return solved_report(largest_fit(config, book, pass_, _symbol(solve), memory), config, pass_, where)
    from tfcost.analysis.remedies import remedies
    from tfcost.report.fit import remedies_report

    return remedies_report(remedies(config, book, pass_, memory, device), config, pass_, where, device.label)


def _memory(fit: str | None, device: "Machine") -> tuple[int, str]:
    from tfcost.numbers import parse_bytes
    from tfcost.report.units import human

    if fit is None:
        memory = int(device.memory_bytes.value)
        shared = ", which the CPU's programs share" if device.unified_memory else ""
        return memory, f"in the {human(memory, 'B')} of {device.label}{shared}"
    try:
        memory = parse_bytes(fit)
    except UserError as error:
        raise UserError(f"--fit: {error}") from None
    return memory, f"in {human(memory, 'B')}"


def _symbol(solve: str) -> str:
    return "L" if solve == "layers" else solve

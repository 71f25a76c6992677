"""What can go wrong between a kernel's IR text and its cost; each message names the line it is about."""

from tfcost.derive.errors import DerivationError, UnknownOperation
from tfcost.derive.ttir.tree import Operation

__all__ = ["KernelError", "ParseError", "UnknownOperation", "unknown_operation"]


class ParseError(DerivationError):
    """A line of TTIR that the parser does not understand."""

    def __init__(self, line: int, text: str, reason: str) -> None:
        super().__init__(f"TTIR line {line}: {reason}: {text.strip()[:200]}")


class KernelError(DerivationError):
    """A kernel whose cost cannot be derived, with the source line that is in the way."""

    def __init__(self, operation: Operation, reason: str) -> None:
        super().__init__(f"{operation.location}: {operation.name}: {reason} (TTIR line {operation.line})")


def unknown_operation(operation: Operation) -> UnknownOperation:
    """The error for an operation without a rule."""
    return UnknownOperation(
        f"{operation.location}: no rule for {operation.name}; its cost is unknown, not zero "
        f"(TTIR line {operation.line}: {operation.text[:120]})"
    )

"""Where the parts of a book are."""

from pathlib import Path


def operations_path(path: Path) -> Path:
    """The file with the operations of the technique whose book file is `path`."""
    return path.parent / "operations" / path.name

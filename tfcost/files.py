"""Files of others read up to a limit; files of ours written so that an interrupted run leaves the old one whole."""

import os
import tempfile
from pathlib import Path

from tfcost.errors import UserError


def read_limited(path: Path, most: int, too_large: str) -> bytes:
    """The content of `path`. UserError if it cannot be read, or, saying `too_large`, if it is over `most` bytes."""
    try:
        with path.open("rb") as stream:
            content = stream.read(most + 1)
    except OSError as error:
        raise UserError(f"{path}: {error.strerror}") from error
    if len(content) > most:
        raise UserError(f"{path}: {too_large}")
    return content


def write_atomically(path: Path, content: str | bytes) -> None:
    """Replaces `path` by `content` (text as UTF-8): written to a temporary name beside it, flushed to disk, then moved.

    A link is followed; a device or pipe is written to as it is. UserError if `path` cannot be written.
    """
    path, raw = path.resolve(), content.encode() if isinstance(content, str) else content
    try:
        if path.exists() and not path.is_file():
            path.write_bytes(raw)
        else:
            _replace(path, raw)
    except OSError as error:
        raise UserError(f"cannot write {path}: {error.strerror}") from error


def _replace(path: Path, content: bytes) -> None:
    descriptor, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, _mode(path))
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise


def _mode(path: Path) -> int:
    """The permissions of the file that is replaced, or those a new file gets (a temporary file's are private)."""
    if path.exists():
        return path.stat().st_mode & 0o777
    mask = os.umask(0)
    os.umask(mask)
    return 0o666 & ~mask

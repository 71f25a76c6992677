"""The hash of a technique's sources, by which evidence says which code it was taken from."""

import hashlib
from collections.abc import Mapping


def source_hash(sources: Mapping[str, str]) -> str:
    """SHA-256, in hexadecimal, of the sorted lines "path digest" of `sources` (SHA-256 per path, as in a book file)."""
    lines = "".join(f"{path} {digest}\n" for path, digest in sorted(sources.items()))
    return hashlib.sha256(lines.encode()).hexdigest()

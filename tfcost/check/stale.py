"""Evidence and book in, the techniques whose code has changed since they were measured out."""

from collections.abc import Sequence

from tfcost.book import Book
from tfcost.check.derived import MODEL
from tfcost.evidence.record import Evidence
from tfcost.evidence.sources import source_hash


def stale_techniques(evidence: Evidence, book: Book, techniques: Sequence[str] = ()) -> dict[str, int]:
    """Per technique, how many of its measurements were taken from other code than its formulas were derived from.

    A whole model is made of several techniques and has no hash of its own in the book; it is never stale here.
    """
    hashes = {name: source_hash(book.record(name).provenance.sources) for name in book.names}
    found: dict[str, int] = {}
    for measurement in evidence.measurements:
        name = measurement.case.technique
        chosen = name != MODEL and name in hashes and (not techniques or name in techniques)
        if chosen and measurement.source_hash != hashes[name]:
            found[name] = found.get(name, 0) + 1
    return dict(sorted(found.items()))

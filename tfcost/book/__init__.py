"""The formula book: one JSON file per technique, written by `tfcost derive`, read without torch or triton."""

from tfcost.book.book import BOOK_FOLDER, SITUATIONS, Book, load_book
from tfcost.book.record import Claim, Option, Provenance, TechniqueRecord
from tfcost.book.write import write_record

__all__ = [
    "BOOK_FOLDER",
    "SITUATIONS",
    "Book",
    "Claim",
    "Option",
    "Provenance",
    "TechniqueRecord",
    "load_book",
    "write_record",
]

"""Words that the shell completes."""

from tfcost.errors import UserError


def technique_names(incomplete: str) -> list[tuple[str, str]]:
    """The techniques that begin with `incomplete`, each with its title; none if the book cannot be read."""
    from tfcost.book import load_book

    try:
        records = load_book().techniques
    except UserError:
        return []
    return [(name, record.title) for name, record in records.items() if name.startswith(incomplete)]

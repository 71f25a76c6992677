"""One report in the notation that was asked for; a renderer is imported only when it is used."""

from tfcost.report.page import Report


def render(report: Report, notation: str, *, width: int = 100, styled: bool = False, ascii_only: bool = False) -> str:
    """The text of `report` as "table", "json", "md", "csv" or "latex", ending with a newline.

    `width` and `styled` are for tables only; `ascii_only` keeps tables and JSON within ASCII.
    """
    match notation:
        case "table":
            from tfcost.report.terminal import TerminalWriter

            return TerminalWriter(width, styled, ascii_only).text(report.page())
        case "json":
            import json

            return json.dumps(report.document(), indent=2, ensure_ascii=ascii_only) + "\n"
        case "md":
            from tfcost.report.markdown import markdown_text

            return markdown_text(report.page())
        case "latex":
            from tfcost.report.latex import latex_text

            return latex_text(report.page())
        case "csv":
            return _csv(report)
        case _:
            raise ValueError(f"no notation is called {notation!r}")


def _csv(report: Report) -> str:
    """One line per record; the columns are those of the first record, which all share."""
    import csv
    import io

    text, records = io.StringIO(), report.records()
    writer = csv.DictWriter(text, fieldnames=list(records[0]) if records else [], lineterminator="\n")
    writer.writeheader()
    writer.writerows(records)
    return text.getvalue()

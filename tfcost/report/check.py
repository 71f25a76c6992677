"""The result of `tfcost check` for the reader it is meant for: a person, GitHub, a test report, a program."""

from tfcost.check.finding import CheckResult

REPORTERS = ("terminal", "github", "junit", "json", "sarif")


def render_check(result: CheckResult, reporter: str, *, verbose: bool = False, ascii_only: bool = False) -> str:
    """The text of `result` by one of `REPORTERS`, ending with a newline."""
    match reporter:
        case "terminal":
            from tfcost.report.check_terminal import terminal_text

            return terminal_text(result, verbose, ascii_only)
        case "github":
            from tfcost.report.check_github import github_text

            return github_text(result)
        case "junit":
            from tfcost.report.check_junit import junit_text

            return junit_text(result)
        case "json":
            from tfcost.report.check_json import json_text

            return json_text(result)
        case "sarif":
            from tfcost.report.check_sarif import sarif_text

            return sarif_text(result)
        case _:
            raise ValueError(f"no reporter is called {reporter!r}")

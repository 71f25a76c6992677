"""The result of `tfcost check` as GitHub's workflow commands: annotations on the lines that cost more, worst first.

https://docs.github.com/en/actions/reference/workflow-commands-for-github-actions
"""

from tfcost.check.finding import CheckResult, Finding
from tfcost.report.check_places import place_of
from tfcost.report.check_terminal import summary_lines


def github_text(result: CheckResult) -> str:
    """One command per finding, and the summary as plain lines of the log."""
    lines = [_annotation(result, finding) for finding in result.findings]
    lines += [f"::notice::{_data(note)}" for note in result.notes]
    return "\n".join([*lines, *summary_lines(result)]) + "\n"


def summary_markdown(result: CheckResult) -> str:
    """The job's summary: a table of findings, and one line per check."""
    verdict = "passed" if result.exit_code == 0 else "failed"
    lines = [f"### tfcost check {verdict}", ""]
    if result.findings:
        lines += ["| | what changed | where |", "|---|---|---|"]
        lines += [_row(result, finding) for finding in result.findings]
        lines.append("")
    return "\n".join([*lines, *(f"- {line}" for line in summary_lines(result))]) + "\n"


def _annotation(result: CheckResult, finding: Finding) -> str:
    path, line = place_of(result, finding)
    title = finding.place if finding.quantity else f"{finding.check} {finding.target}"
    body = "\n".join([finding.message, *(cause.text for cause in finding.causes[:3]), *finding.details])
    place = f"file={_property(path)},line={line},title={_property(title)}"
    return f"::{finding.level} {place}::{_data(body)}"


def _row(result: CheckResult, finding: Finding) -> str:
    path, line = place_of(result, finding)
    cause = f"{finding.causes[0].step}: " if finding.causes else ""
    cells = (finding.check, finding.message, f"{cause}`{path}:{line}`")
    return "| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in cells) + " |"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")

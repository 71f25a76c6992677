"""The result of `tfcost check` as JSON: every finding with its causes."""

import json
from typing import Any

import tfcost
from tfcost.check.finding import CheckResult, Finding
from tfcost.report.check_places import split_location
from tfcost.report.document import SCHEMA_VERSION


def json_text(result: CheckResult) -> str:
    """The document, ending with a newline."""
    content = {
        "schema_version": SCHEMA_VERSION,
        "command": "check",
        "tfcost_version": tfcost.__version__,
        "exit_code": result.exit_code,
        "targets": list(result.targets),
        "compared": dict(result.compared),
        "findings": [_finding(result, finding) for finding in result.findings],
        "notes": list(result.notes),
    }
    return json.dumps(content, indent=2, ensure_ascii=False) + "\n"


def _finding(result: CheckResult, finding: Finding) -> dict[str, Any]:
    return {
        "check": finding.check,
        "level": finding.level,
        "target": finding.target,
        "pass": finding.pass_,
        "quantity": finding.quantity,
        "message": finding.message,
        "details": list(finding.details),
        "causes": [
            {
                "step": cause.step,
                "operation": cause.operation,
                "location": "{}:{}".format(*split_location(result, cause.location)) if cause.location else "",
                "code": cause.code,
                "old": cause.old,
                "new": cause.new,
            }
            for cause in finding.causes
        ],
    }

"""The result of `tfcost check` as SARIF 2.1.0, which code scanning services read.

https://docs.oasis-open.org/sarif/sarif/v2.1.0/sarif-v2.1.0.html
"""

import json
from typing import Any

import tfcost
from tfcost.check.finding import CheckResult, Finding
from tfcost.report.check_places import place_of, split_location

_RULES = {
    "contract": "A cost is more than its contract allows",
    "drift": "A cost is not what the lock file says it was",
    "accuracy": "A cost is not what was measured",
    "target": "A target cannot be checked",
}


def sarif_text(result: CheckResult) -> str:
    """The log of one run, ending with a newline."""
    driver = {
        "name": "tfcost",
        "version": tfcost.__version__,
        "rules": [{"id": name, "shortDescription": {"text": text}} for name, text in _RULES.items()],
    }
    run = {"tool": {"driver": driver}, "results": [_result(result, finding) for finding in result.findings]}
    content = {"$schema": "https://json.schemastore.org/sarif-2.1.0.json", "version": "2.1.0", "runs": [run]}
    return json.dumps(content, indent=2, ensure_ascii=False) + "\n"


def _result(result: CheckResult, finding: Finding) -> dict[str, Any]:
    related = [
        {"message": {"text": cause.text}, **_location(*split_location(result, cause.location))}
        for cause in finding.causes
        if cause.location
    ]
    return {
        "ruleId": finding.check,
        "level": finding.level,
        "message": {"text": "\n".join([finding.message, *finding.details])},
        "locations": [_location(*place_of(result, finding))],
        **({"relatedLocations": related} if related else {}),
        "partialFingerprints": {"tfcost/v1": f"{finding.check}/{finding.place}"},
    }


def _location(path: str, line: int) -> dict[str, Any]:
    return {"physicalLocation": {"artifactLocation": {"uri": path}, "region": {"startLine": line}}}

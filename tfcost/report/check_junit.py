"""The result of `tfcost check` as a JUnit report: one suite per check, one case per target."""

from junitparser import Error, Failure, JUnitXml, TestCase, TestSuite

from tfcost.check.finding import CHECKS, CheckResult, Finding


def junit_text(result: CheckResult) -> str:
    """The XML of the report, ending with a newline."""
    report = JUnitXml("tfcost check")
    for check in CHECKS:
        if check in result.compared:
            suite = TestSuite(check)
            # Targets of the lock file that are gone have findings of their own.
            names = dict.fromkeys((*result.targets, *(one.target for one in result.findings if one.check == check)))
            for target in names:
                suite.add_testcase(_case(result, check, target))
            report.add_testsuite(suite)
    text = str(report.tostring().decode("utf-8"))  # type: ignore[no-untyped-call]
    return text if text.endswith("\n") else text + "\n"


def _case(result: CheckResult, check: str, target: str) -> TestCase:
    case = TestCase(target, classname=f"tfcost.{check}")
    about = [one for one in result.findings if one.target == target and one.check in (check, "target")]
    case.result = [_entry(one) for one in about if one.level == "error"]
    remarks = [one.message for one in about if one.level == "warning"]
    if remarks:
        case.system_out = "\n".join(remarks)
    return case


def _entry(finding: Finding) -> Failure | Error:
    entry = (Error if finding.check == "target" else Failure)(finding.message, finding.check)
    entry.text = "\n".join([*(cause.text for cause in finding.causes), *finding.details])
    return entry

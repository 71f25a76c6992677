"""What pydantic found wrong with a file, as one sentence about the place that stands first in it."""

from collections.abc import Callable, Collection

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from tfcost.config.fields import shown
from tfcost.config.yaml_file import Path_, YamlFile
from tfcost.errors import nearest

KnownKeys = Callable[[Path_], Collection[str]]
"""The keys that may stand where an unknown one does."""


def first_problem(error: ValidationError, file: YamlFile) -> ErrorDetails:
    """The problem that stands first in the file; what is missing altogether comes last."""
    problems = error.errors(include_url=False)
    return min(problems, key=lambda one: (one["type"] == "missing", file.lines.get(place_of(one), 0)))


def place_of(problem: ErrorDetails) -> Path_:
    """The path of keys to the value that is wrong."""
    if problem["type"] == "together":
        return (*problem["loc"], problem["ctx"]["field"])
    return problem["loc"]


def message_of(problem: ErrorDetails, known: KnownKeys) -> str:
    """What is wrong, with the nearest valid name where there is one."""
    place, found = problem["loc"], problem["input"]
    name = ".".join(map(str, place))
    match problem["type"]:
        case "together":
            return str(problem["ctx"]["message"])
        case "missing":
            return f"'{name}' is missing"
        case "extra_forbidden":
            return f"unknown key '{name}'{nearest(str(place[-1]), known(place))}"
        case "literal_error":
            choices = problem["ctx"]["expected"].replace("'", "").replace(" or ", ", ").split(", ")
            return f"{name}: no such choice: {shown(found)}{nearest(str(found), choices)}"
        case "count" | "choice":
            return f"{name}: {problem['msg']}"
        case _:
            expected = problem["msg"].removeprefix("Input should be ")
            return f"{name}: expected {expected}, found {shown(found)}"

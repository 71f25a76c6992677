"""`tfcost.lock`: what each target costs, one formula a line; read by a parser of its own, which only ever reads data.

    tfcost-lock 1 tfcost=0.1.0 torch=2.13.0
    attention/forward/peak_bytes = 4*b*h*m*n + 8*b*d_h*h*n
    attention/forward/peak_bytes/softmax/aten._softmax = 2*b*h*m*n
A line is TARGET/PASS/QUANTITY, or TARGET/PASS/QUANTITY/STEP/OPERATION for the part of it that is told when it changes.
Names with other characters than letters, digits and _ . + - are written as JSON strings.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tfcost.errors import UserError, nearest
from tfcost.files import write_atomically
from tfcost.formula import Formula, FormulaError
from tfcost.quantities import QUANTITIES

VERSION = 1
_HEAD = "tfcost-lock"
_MOST_BYTES = 20_000_000
_LONGEST = 200_000
_PLAIN = re.compile(r"[A-Za-z0-9_.+-]+", re.ASCII)
_NAME = re.compile(r'[A-Za-z0-9_.+-]+|"(?:[^"\\\x00-\x1f]|\\.)*"', re.ASCII)
_FORMULA = re.compile(r"[A-Za-z0-9_+\-*/(), ]+", re.ASCII)
_PARTS_OF_A_LINE = (3, 5)
_COMMENT = """\
# What the targets cost, one formula a line. Written by 'tfcost check --update'; a changed line is a changed cost.
"""

Line = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Lock:
    """The formulas by (target, pass, quantity) and by (target, pass, quantity, step, operation), and the versions that
    they were derived with.
    """

    formulas: Mapping[Line, Formula] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)

    @property
    def targets(self) -> list[str]:
        """The targets in it."""
        return list(dict.fromkeys(line[0] for line in self.formulas))

    def of_target(self, target: str) -> dict[Line, Formula]:
        """The lines of one target."""
        return {line: formula for line, formula in self.formulas.items() if line[0] == target}


def read_lock(path: Path) -> Lock:
    """The lock file `path`. UserError, with file and line, for anything that `--update` would not have written."""
    text = _text(path)
    lines = list(enumerate(text.split("\n"), start=1))
    content = [(number, line) for number, line in lines if line.strip() and not line.startswith("#")]
    if not content:
        raise UserError(f"{path}: the file is empty; write it with 'tfcost check --update'")
    versions = _versions(path, *content[0])
    formulas: dict[Line, Formula] = {}
    for number, line in content[1:]:
        key, formula = _entry(path, number, line)
        if key in formulas:
            raise UserError(f"{path}:{number}: '{'/'.join(key)}' is there twice")
        formulas[key] = formula
    return Lock(formulas, versions)


def _text(path: Path) -> str:
    try:
        with path.open("rb") as stream:
            content = stream.read(_MOST_BYTES + 1)
    except FileNotFoundError:
        raise UserError(f"{path}: there is no lock file yet; write it with 'tfcost check --update'") from None
    except OSError as error:
        raise UserError(f"{path}: {error.strerror}") from error
    if len(content) > _MOST_BYTES:
        raise UserError(f"{path}: larger than {_MOST_BYTES // 10**6} MB, which no lock file is")
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise UserError(f"{path}:{line}: not a text file (byte {error.start} is not UTF-8)") from error


def _versions(path: Path, number: int, line: str) -> dict[str, str]:
    words = line.split()
    if len(words) < 2 or words[0] != _HEAD or not words[1].isdigit():
        raise UserError(f"{path}:{number}: not a lock file: it does not begin with '{_HEAD} {VERSION}'")
    if int(words[1][:9]) != VERSION:
        raise UserError(
            f"{path}:{number}: lock version {words[1][:9]} is not {VERSION}, the one this tfcost reads; "
            "install the tfcost that wrote it, or write it anew with 'tfcost check --update'"
        )
    return {name: version for name, _, version in (word.partition("=") for word in words[2:])}


def _entry(path: Path, number: int, line: str) -> tuple[Line, Formula]:
    place = f"{path}:{number}"
    names, end = [], 0
    while match := _NAME.match(line, end):
        names.append(_read_name(match[0], place))
        end = match.end()
        if line[end : end + 1] != "/":
            break
        end += 1
    if line[end : end + 3] != " = " or len(names) not in _PARTS_OF_A_LINE:
        raise UserError(f"{place}: expected TARGET/PASS/QUANTITY = FORMULA, found {line[:60]!r}")
    if names[2] not in QUANTITIES:
        raise UserError(f"{place}: no quantity is called '{names[2][:60]}'{nearest(names[2], QUANTITIES)}")
    text = line[end + 3 :]
    if len(text) > _LONGEST or not _FORMULA.fullmatch(text):
        raise UserError(f"{place}: not a formula: {text[:60]!r}")
    try:
        return tuple(names), Formula(text)
    except FormulaError as error:
        raise UserError(f"{place}: {error}") from None


def _read_name(text: str, place: str) -> str:
    if not text.startswith('"'):
        return text
    try:
        return str(json.loads(text))
    except ValueError:
        raise UserError(f"{place}: not a name: {text[:60]!r}") from None


def lock_text(lock: Lock) -> str:
    """The content of the file: the same lock always gives the same text."""
    versions = " ".join(f"{name}={version}" for name, version in sorted(lock.versions.items()))
    return _COMMENT + f"{_HEAD} {VERSION} {versions}".rstrip() + "\n" + "".join(_lines(lock))


def _lines(lock: Lock) -> Iterator[str]:
    """A blank line before each target; its lines in the order in which they were derived."""
    target = None
    for line, formula in lock.formulas.items():
        if line[0] != target:
            target = line[0]
            yield "\n"
        yield f"{'/'.join(map(_written_name, line))} = {formula.text}\n"


def _written_name(name: str) -> str:
    return name if _PLAIN.fullmatch(name) else json.dumps(name)


def write_lock(path: Path, lock: Lock) -> None:
    """Replaces the lock file; an interrupted run leaves the old one whole. UserError if it cannot be written."""
    write_atomically(path, lock_text(lock))

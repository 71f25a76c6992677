"""JSON with lines: the same data as the standard library's, and everything else told in one line."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tfcost.config.hf.json_file import MOST_VALUES, read_json
from tfcost.errors import UserError

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**30), 10**30) | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=12,
)  # fmt: skip
OBJECTS = st.dictionaries(st.text(max_size=8), VALUES, max_size=4)


def depth(value: Any) -> int:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return 1 + max(map(depth, inner), default=0)


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("json") / "config.json"


@given(OBJECTS.filter(lambda value: depth(value) < 8), st.sampled_from([None, 0, 2]))
def test_the_data_is_that_of_the_standard_library(path: Path, value: dict[str, Any], indent: int | None) -> None:
    text = json.dumps(value, indent=indent)
    path.write_text(text, encoding="utf-8")
    assert read_json(path).data == json.loads(text) == value


def test_every_key_and_element_has_its_line(path: Path) -> None:
    path.write_text('{\n "a": 1,\n "b": {\n  "c": [\n   1,\n   2\n  ]},\n\n "d": 3}')
    lines = read_json(path).lines
    assert lines == {("a",): 2, ("b",): 3, ("b", "c"): 4, ("b", "c", 0): 5, ("b", "c", 1): 6, ("d",): 9}


@pytest.mark.parametrize(
    ("content", "line", "expected"),
    [
        ("", 1, "the file is empty"),
        (" \n\n ", 3, "the file is empty"),
        ("[1, 2]", 1, "expected a JSON object"),
        ('"gpt2"', 1, "expected a JSON object"),
        ("{", 1, "the file ends in the middle of a value"),
        ('{"a": 1', 1, "the file ends in the middle of a value"),
        ('{"a": {"b": [1,', 1, "the file ends in the middle of a value"),
        ('{\n"a": "text', 2, "unterminated string starting at"),
        ('{"a": "\\q"}', 1, "invalid \\escape"),
        ('{\n"a": 1\n"b": 2}', 3, "expected ',' or '}'"),
        ('{"a" 1}', 1, "expected ':' after the key"),
        ('{"a": 1,}', 1, "a comma before '}'"),
        ('{"a": [1,]}', 1, "a comma before ']'"),
        ('{"a": [,1]}', 1, "expected a value, found ','"),
        ("{a: 1}", 1, "expected a key in double quotes"),
        ("{'a': 1}", 1, "expected a key in double quotes"),
        ('{"a": 1}\n{"b": 2}', 2, "expected the end of the file"),
        ('{\n"a": 1,\n"b": 2,\n"a": 3}', 4, "duplicate key 'a', first on line 2"),
        ('{"x": {"a": 1,\n"a": 3}}', 2, "duplicate key 'a', first on line 1"),
        ('{"a": NaN}', 1, "expected a value, found 'NaN'"),
        ('{"a": Infinity}', 1, "expected a value, found 'Infinity'"),
        ('{"a": -Infinity}', 1, "expected a value, found '-Infinity'"),
        ('{"a": 1e999}', 1, "'1e999' is too large a number"),
        ('{"a": 01}', 1, "expected a value, found '01'"),
        ('{"a": +1}', 1, "expected a value, found '+1'"),
        ('{"a": True}', 1, "expected a value, found 'True'"),
        ('{"a": 0x10}', 1, "expected a value, found '0x10'"),
        ('{"a": ' + "9" * 5000 + "}", 1, "expected a value, found '" + "9" * 40),
        ('{"a": // here\n 1}', 1, "expected a value, found '/'"),
        ('{"a": ' + "[" * 2000 + "]" * 2000 + "}", 1, "too deep or too long a file"),
        ('{"a": [' + "1," * MOST_VALUES + "1]}", 1, "too deep or too long a file"),
    ],
)
def test_what_is_no_json_is_told_with_its_line(path: Path, content: str, line: int, expected: str) -> None:
    path.write_text(content)
    with pytest.raises(UserError) as caught:
        read_json(path)
    assert str(caught.value).startswith(f"{path}:{line}: {expected}")


@pytest.mark.parametrize("content", [b"\x89PNG\r\n", b'{"a": "\xff"}', b'{"a": \x00}'])
def test_what_is_no_text_is_told(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    with pytest.raises(UserError, match="not a text file"):
        read_json(path)

"""Model configurations: the committed ones load; whatever is wrong is told in one line with file and line."""

import time
from pathlib import Path

import pytest

from tfcost.config.load import load_config
from tfcost.config.yaml_file import MAX_BYTES
from tfcost.errors import UserError

CONFIGS = Path(__file__).parents[2] / "configs"

MODEL = """\
name: small
n: 16k
d: 64
h: 4
L: 2
V: 1000
positions: learned
max_positions: 1M
attention: standard
ffn: gelu
causal: true
training: {optimizer: adamw}
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "model.yaml"


def load_text(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")
    load_config(path, techniques=("flash", "linear", "standard"))


@pytest.mark.parametrize("file", sorted(CONFIGS.glob("*.yaml")), ids=lambda file: file.stem)
def test_committed_configurations_load(file: Path) -> None:
    load_config(file)
    assert file.read_text().startswith("# yaml-language-server: $schema=schema.json\n")


def test_numbers_and_defaults(path: Path) -> None:
    path.write_text(MODEL)
    config = load_config(path)
    assert (config.n, config.max_positions, config.V) == (16 * 1024, 1_000_000, 1000)
    assert (config.head_width, config.kv_heads, config.hidden_width) == (16, 4, 256)
    assert config.training.optimizer == "adamw"
    assert config.values["m"] == config.n


def test_overrides_replace_fields_and_are_named_in_errors(path: Path) -> None:
    path.write_text(MODEL)
    assert load_config(path, {"n": "32"}).n == 32
    with pytest.raises(UserError, match=r"^--h-kv: h = 4 is not divisible by h_kv = 3$"):
        load_config(path, {"h_kv": "3"})
    with pytest.raises(UserError, match=r"^--n: 'many' is not a whole number"):
        load_config(path, {"n": "many"})


@pytest.mark.parametrize(
    ("old", "new", "line", "expected"),
    [
        ("n: 16k", "n: 0", 2, "n: 0 is less than 1"),
        ("n: 16k", "n: -1", 2, "n: '-1' is not a whole number"),
        ("n: 16k", "n: 1.5", 2, "n: '1.5' is not a whole number"),
        ("n: 16k", "n: .nan", 2, "n: '.nan' is not a whole number"),
        ("n: 16k", "n: [1]", 2, "n: expected a whole number, found a list"),
        ("n: 16k", "n: true", 2, "n: expected a whole number, found 'True'"),
        ("n: 16k", "n:", 2, "n: expected a whole number, found nothing"),
        ("n: 16k", "n: 2M", 2, "n = 2097152 is more than max_positions = 1000000"),
        ("h: 4", "h: 5", 4, "d = 64 is not divisible by h = 5"),
        ("h: 4", "h: 4\nh_kv: 3", 5, "h = 4 is not divisible by h_kv = 3"),
        ("h: 4", "heads: 4", 4, "unknown key 'heads'"),
        ("causal: true", "casual: true", 11, "unknown key 'casual'; did you mean 'causal'?"),
        ("causal: true", "causal: maybe", 11, "causal: expected a valid boolean, found 'maybe'"),
        ("ffn: gelu", "ffn: gelo", 10, "ffn: no such choice: 'gelo'; did you mean 'gelu'?"),
        ("attention: standard", "attention: flsh", 9, "unknown technique 'flsh'; did you mean 'flash'?"),
        ("{optimizer: adamw}", "{optimiser: adamw}", 12, "unknown key 'training.optimiser'; did you mean 'optimizer'?"),
        ("{optimizer: adamw}", "adamw", 12, "training: expected a valid dictionary"),
        ("name: small", "name: !!python/object/apply:os.system [ls]", 1, "the tag !!python/object/apply:os.system"),
        ("name: small", "name: !mine x", 1, "the tag !mine is not allowed"),
        ("d: 64", "d: 64\nd: 64", 4, "duplicate key 'd', first on line 3"),
        ("d: 64", "d: &width 64\nd_h: *width", 3, "anchors and aliases are not allowed"),
        ("V: 1000\n", "", 6, "positions needs a vocabulary: give V"),
        ("positions: learned\n", "", 7, "max_positions without 'positions: learned'"),
        ("max_positions: 1M\n", "", 7, "learned positions need max_positions"),
        ("name: small\n", "", 1, "'name' is missing"),
        ("ffn: gelu", "ffn: " + "[" * 50, 10, "too deep or too long"),
        ("ffn: gelu", "ffn: [gelu", 11, "expected ',' or ']'"),
        ("ffn: gelu", "? [ffn]\n: gelu", 10, "a key must be a plain word"),
    ],
)
def test_a_mistake_is_told_with_its_line(path: Path, old: str, new: str, line: int, expected: str) -> None:
    assert MODEL.count(old) == 1 or old in ("n: 16k", "d: 64", "h: 4")
    with pytest.raises(UserError) as caught:
        load_text(path, MODEL.replace(old, new, 1))
    assert str(caught.value).startswith(f"{path}:{line}: {expected}")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", ":1: the file is empty"),
        (b"# only a comment\n", ":1: the file is empty"),
        (b"- a\n- b\n", ":1: expected 'key: value' lines"),
        (b"a: 1\n\x89PNG\r\n\x1a\n", ":2: not a text file"),
        (b"a: 1\nb: \x00\n", ":2: not a text file"),
        (b"a: 1\n---\nb: 2\n", "but found another document"),
        (b"a: &x [1]\nb: [*x, *x]\n", ":1: anchors and aliases are not allowed"),
    ],
)
def test_what_is_no_configuration_is_refused(path: Path, content: bytes, expected: str) -> None:
    path.write_bytes(content)
    with pytest.raises(UserError) as caught:
        load_config(path)
    assert str(caught.value).startswith(str(path))
    assert expected in str(caught.value)


def test_an_alias_bomb_is_refused_at_once(path: Path) -> None:
    lines = ["a0: &a0 [x, x]"] + [f"a{i}: &a{i} [" + ", ".join([f"*a{i - 1}"] * 9) + "]" for i in range(1, 40)]
    path.write_text("\n".join(lines))
    start = time.perf_counter()
    with pytest.raises(UserError, match="anchors and aliases"):
        load_config(path)
    assert time.perf_counter() - start < 1


@pytest.mark.parametrize("size", [MAX_BYTES + 1, 100_000_000])
def test_a_huge_file_is_refused_without_reading_it(path: Path, size: int) -> None:
    with path.open("wb") as file:
        file.truncate(size)
    start = time.perf_counter()
    with pytest.raises(UserError, match="larger than 1000 kB"):
        load_config(path)
    assert time.perf_counter() - start < 0.5


def test_a_file_of_many_keys_is_refused_at_once(path: Path) -> None:
    path.write_text("".join(f"key{i}: 1\n" for i in range(60_000)))
    start = time.perf_counter()
    with pytest.raises(UserError, match="too deep or too long"):
        load_config(path)
    assert time.perf_counter() - start < 2


@pytest.mark.parametrize(("name", "expected"), [("missing.yaml", "No such file"), (".", "Is a directory")])
def test_a_file_that_cannot_be_read_is_told(tmp_path: Path, name: str, expected: str) -> None:
    with pytest.raises(UserError, match=expected):
        load_config(tmp_path / name)

"""tfcost.yaml: found upwards, read whole, and refused with file and line where it is wrong."""

from pathlib import Path

import pytest

from tfcost.check.config import find_config, load_check, lock_path
from tfcost.errors import UserError

TEXT = """\
targets:
  attention:
    technique: flash
    options: {causal: true}
    d_h: 64
    contract:
      - time: n**2*d
      - peak_bytes <= 2 GiB at n=16k
    tolerance: {peak_bytes: 1%}
  mine:
    function: mine.py:attend
    dims: [b, n, d_h=64]
    shapes: {q: "b,n,d_h"}
    args: {causal: true, scale: 0.5}
    sizes: {n: 16k}
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    place = tmp_path / "tfcost.yaml"
    place.write_text(TEXT)
    return place


def test_what_a_file_says(path: Path) -> None:
    config, _ = load_check(path)
    attention, mine = config.targets.values()
    assert [contract.text for contract in attention.contract] == ["time: n**2*d", "peak_bytes <= 2 GiB at n=16k"]
    assert attention.tolerance["peak_bytes"] * 100 == 1
    assert (mine.sizes, mine.passes, mine.dtype) == ({"n": 16384}, ["forward"], "bfloat16")


@pytest.mark.parametrize(
    ("old", "new", "line", "message"),
    [
        ("- time: n**2*d", "- time: n^2*d", 7,
         "target 'attention': contract, column 8: unexpected character '^' (a power is written **)\n"
         "  time: n^2*d\n         ^"),
        ("- peak_bytes <=", "- peak_byte <=", 8,
         "target 'attention': contract, column 1: no quantity is called 'peak_byte'"),
        ("- time: n**2*d", "- [1]", 7, "target 'attention': contract.0: expected a line such as"),
        ("technique: flash", "technique: flash\n    function: a.py:f", 3,
         "target 'attention': a target has either 'technique' or 'function'"),
        ("    function: mine.py:attend\n", "", 10, "target 'mine': a target has either 'technique' or 'function'"),
        ("    d_h: 64", "    dims: [n]", 5, "target 'attention': 'dims' does not go with 'technique'"),
        ("    dims: [b", "    scope: core\n    dims: [b", 12, "target 'mine': 'scope' does not go with 'function'"),
        ("options:", "option:", 4, "target 'attention': unknown key 'option'; did you mean 'options'?"),
        ("  mine:", "  attention:", 10, "duplicate key 'attention', first on line 2"),
        ("1%", "x", 9, "target 'attention': tolerance.peak_bytes: expected a share such as 2% or 0.02, found 'x'"),
        ("1%", "120%", 9, "target 'attention': tolerance.peak_bytes: a tolerance is at least 0 and less than 1"),
        ("{peak_bytes: 1%}", "{peak: 1%}", 9, "target 'attention': no quantity is called 'peak'"),
        ("16k}", "16q}", 15, "target 'mine': sizes: '16q' is not a whole number"),
        ("  mine:", "  my own:", 1, "'my own' is no name for a target"),
        ("targets:", "target:", 1, "unknown key 'target'; did you mean 'targets'?"),
        ("dims: [b", "passes: [up]\n    dims: [b", 12, "target 'mine': passes.0: no such choice: 'up'"),
        ("targets:", "time_limit: 0\ntargets:", 1, "time_limit: 0 is less than 1"),
        ("options: {causal: true}", "options: !!python/object/apply:os.system ['true']", 4, "the tag"),
    ],
)  # fmt: skip
def test_what_is_wrong_has_file_and_line(path: Path, old: str, new: str, line: int, message: str) -> None:
    assert TEXT.count(old) == 1
    path.write_text(TEXT.replace(old, new))
    with pytest.raises(UserError) as caught:
        load_check(path)
    assert str(caught.value).startswith(f"{path}:{line}: {message}")


def test_many_targets_are_no_trouble(path: Path) -> None:
    targets = "".join(
        f"  t{number}:\n    technique: flash\n    contract: [time: n, memory: n]\n" for number in range(400)
    )
    path.write_text(f"targets:\n{targets}")
    assert len(load_check(path)[0].targets) == 400


def test_no_target_at_all(path: Path) -> None:
    path.write_text("targets: {}\n")
    with pytest.raises(UserError, match=r"tfcost.yaml:1: no target is given"):
        load_check(path)


def test_the_nearest_file_upwards(path: Path) -> None:
    inner = path.parent / "a" / "b"
    inner.mkdir(parents=True)
    assert find_config(inner) == path
    nearer = path.parent / "a" / ".tfcost.yaml"
    nearer.write_text(TEXT)
    assert find_config(inner) == nearer
    assert lock_path(nearer) == path.parent / "a" / ".tfcost.lock"
    (path.parent / ".tfcost.yaml").write_text(TEXT)
    with pytest.raises(UserError, match=r"both tfcost.yaml and .tfcost.yaml are there; keep one"):
        find_config(path.parent)


def test_no_file_anywhere(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no tfcost.yaml in .* or above; write one, or name it with --config FILE"):
        find_config(tmp_path)

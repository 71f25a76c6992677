"""The book: what is written is read back, questions find their one cost, damaged files are refused by place."""

import json
import time
from pathlib import Path
from typing import Any

import pytest

from tfcost.book import Book, Claim, Option, Provenance, TechniqueRecord, load_book, write_record
from tfcost.cost import Cost, Operation, Quantity, Step
from tfcost.errors import UserError
from tfcost.formula import Formula


def make_cost(**changes: Any) -> Cost:
    cost: dict[str, Any] = {
        "technique": "flash",
        "implementation": "triton",
        "scope": "core",
        "pass_": "forward",
        "dtypes": ("bfloat16", "float16"),
        "variant": {"causal": False},
        "fixed": {"d_h": 64},
        "symbols": ("n", "d_h"),
        "quantities": {
            "matmul_flops": Quantity(Formula("4*d_h*n**2"), "ttir", Formula("4*n**2*d_h"), "n >= 1", "a note"),
            "peak_bytes": Quantity(Formula("8*d_h*n"), "traced"),
        },
        "steps": (Step("scores", {"matmul_flops": Formula("2*d_h*n**2")}),),
        "operations": (
            Operation("tt.dot", "scores", "k.py:3", "tl.dot(q, k)", {"matmul_flops": Formula("2*d_h*n**2")}, "k", 0),
        ),
        "assumptions": ("n is anything",),
        "workspace": ("none",),
        "composition": {"saved_bytes": Formula("4*n")},
    }
    return Cost(**(cost | changes))


def make_record(*costs: Cost, **changes: Any) -> TechniqueRecord:
    record: dict[str, Any] = {
        "technique": "flash",
        "title": "Flash",
        "section": "2.1",
        "implementation": "triton",
        "summary": "Tiles. Ümläute and 注意力 survive.",
        "options": {"causal": Option((False, True), False, "order")},
        "defaults": {"c": 64},
        "claims": (Claim("2.1", "time", Formula("n**2*d"), "时间复杂度"),),
        "provenance": Provenance({"a.py": "ab"}, {"torch": "2"}),
        "costs": costs,
    }
    return TechniqueRecord(**(record | changes))


def find(book: Book, **changes: Any) -> Cost:
    question: dict[str, Any] = {
        "scope": "core",
        "pass_": "forward",
        "dtype": "bfloat16",
        "variant": {},
        "values": {"n": 8, "d_h": 64},
    }
    technique = changes.pop("technique", "flash")
    return book.find(technique, **(question | changes))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    other = make_cost(fixed={"d_h": 128})
    causal = make_cost(variant={"causal": True})
    write_record(make_record(make_cost(), other, causal, make_cost(pass_="backward")), tmp_path)
    return tmp_path


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    record = make_record(make_cost(), make_cost(fixed={"d_h": 128}))
    write_record(record, tmp_path)
    assert load_book(tmp_path).record("flash") == record


def test_writing_again_gives_the_same_text(folder: Path) -> None:
    path = folder / "flash.json"
    before = path.read_bytes()
    write_record(load_book(folder).record("flash"), folder)
    assert path.read_bytes() == before


def test_every_formula_has_a_line_of_its_own(folder: Path) -> None:
    for path in folder.rglob("*.json"):
        for line in path.read_text(encoding="utf-8").splitlines():
            assert line.count("d_h*n") <= 1


def test_find_follows_options_fixed_sizes_and_dtype(folder: Path) -> None:
    book = load_book(folder)
    assert find(book).variant == {"causal": False}
    assert find(book, variant={"causal": True}).variant == {"causal": True}
    assert find(book, values={"n": 8, "d_h": 128}).fixed == {"d_h": 128}
    assert find(book, dtype="float16").pass_ == "forward"
    assert find(book, pass_="backward").pass_ == "backward"


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"technique": "flsh"}, "unknown technique 'flsh'; did you mean 'flash'?"),
        ({"scope": "layer"}, "flash has no cost for scope 'layer'; derived: core"),
        ({"pass_": "decode"}, "derived: backward; forward"),
        ({"dtype": "float32"}, "flash has no cost for dtype float32; derived: bfloat16, float16"),
        ({"values": {"n": 8, "d_h": 96}}, "flash has no cost for d_h = 96; derived for d_h = 64, 128"),
        ({"variant": {"causal": "maybe"}}, "causal=maybe; derived: causal=false; causal=true"),
    ],
)
def test_a_question_without_a_cost_is_told_what_there_is(folder: Path, changes: dict[str, Any], expected: str) -> None:
    with pytest.raises(UserError) as caught:
        find(load_book(folder), **changes)
    assert expected in str(caught.value)


def test_the_whole_book_loads_in_a_moment() -> None:
    times = []
    for _ in range(5):
        start = time.process_time()
        assert load_book().techniques
        times.append(time.process_time() - start)
    # 29 techniques; a command reads only those that it is asked about.
    assert min(times) < 0.1


def test_the_book_that_comes_with_tfcost_is_valid() -> None:
    load_book().validate()


def damage(folder: Path, *path: str | int, value: object, file_name: str = "flash.json") -> Path:
    """Sets the value at `path` of a file of the book."""
    file = folder / file_name
    content = json.loads(file.read_text(encoding="utf-8"))
    target = content
    for key in path[:-1]:
        target = target[key]
    target[path[-1]] = value
    file.write_text(json.dumps(content), encoding="utf-8")
    return file


def test_code_where_a_formula_should_be_is_refused_and_never_run(folder: Path) -> None:
    code = f"__import__('os').mkdir('{folder / 'made'}')"
    place = ("costs", 0, "quantities", "matmul_flops", "exact")
    damage(folder, *place, value=code)
    with pytest.raises(UserError, match=r"flash.json: costs\[0\].quantities.matmul_flops.exact: formula"):
        load_book(folder).validate()
    with pytest.raises(UserError, match="formula, column"):
        find(load_book(folder)).quantities["matmul_flops"].exact.evaluate({"n": 8, "d_h": 64})
    assert not (folder / "made").exists()


@pytest.mark.parametrize(
    ("path", "value", "expected"),
    [
        (("schema_version",), 2, "schema_version 2 is not 1"),
        (("costs", 0, "scope"), 3, r"costs\[0\].scope: expected text, found 3"),
        (("costs", 1, "quantities", "matmul_flop"), {"exact": "1", "provenance": "x"}, "did you mean 'matmul_flops'"),
        (("costs", 1, "steps", 0, "amounts", "peak_bytes"), "1", r"costs\[1\].steps\[0\].amounts: no amount"),
        (("costs", 0, "fixed", "d_h"), "64", "expected a whole number"),
        (("costs", 0, "fixed", "d_h"), True, "expected a whole number"),
        (("options", "causal", "default"), "perhaps", "options.causal: the default perhaps is not among the values"),
        (("costs",), {}, "costs: expected a list"),
        (("costs", 0, "composition", "saved_bytes"), 7, r"costs\[0\].composition.saved_bytes: expected text, found 7"),
    ],
)
def test_a_damaged_file_is_told_by_place(
    folder: Path, path: tuple[str | int, ...], value: object, expected: str
) -> None:
    damage(folder, *path, value=value)
    book = load_book(folder)
    with pytest.raises(UserError, match=expected):
        book.validate()


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\x00\xff", b"[" * 100_000, b'{"schema_version": 1}'])
def test_what_is_no_book_file_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "flash.json").write_bytes(content)
    with pytest.raises(UserError, match=r"flash\.json"):
        load_book(tmp_path).record("flash")


@pytest.mark.parametrize(
    ("costs", "expected"),
    [
        ((make_cost(symbols=("n",)),), "symbol 'd_h' of 4.* is not declared"),
        ((make_cost(), make_cost(dtypes=("float16",))), "answers the same question"),
        ((make_cost(variant={"causal": 3}),), "3 is not a declared value"),
    ],
)
def test_validate_finds_what_single_values_do_not_show(tmp_path: Path, costs: tuple[Cost, ...], expected: str) -> None:
    write_record(make_record(*costs), tmp_path)
    with pytest.raises(UserError, match=expected):
        load_book(tmp_path).validate()


def test_a_file_is_named_after_its_technique(folder: Path) -> None:
    damage(folder, "technique", value="linear")
    with pytest.raises(UserError, match="holds the technique 'linear'"):
        load_book(folder).record("flash")


def test_only_what_is_asked_for_is_read(folder: Path) -> None:
    damage(folder, "operations", 3, 0, "location", value=7, file_name="operations/flash.json")
    record = load_book(folder).record("flash")
    assert len(record.costs) == 4
    assert record.costs[0].operations[0].location == "k.py:3"
    with pytest.raises(UserError, match=r"operations\[3\]\[0\].location: expected text, found 7"):
        record.costs[3].operations[0]


def test_operations_of_another_run_are_refused(folder: Path) -> None:
    damage(folder, "operations", 0, value=[], file_name="operations/flash.json")
    with pytest.raises(UserError, match=r"operations\[0\]: 0 operations where the technique's file counts 1"):
        load_book(folder).record("flash").costs[0].operations[0]


def test_a_sound_book_is_valid(folder: Path) -> None:
    load_book(folder).validate()


def test_a_folder_without_a_book_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no book files"):
        load_book(tmp_path)

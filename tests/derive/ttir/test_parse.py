"""The TTIR parser: both releases' spellings, every form of region, source lines, and lines it must refuse."""

import pytest
from derive.ttir import kernels
from derive.ttir.subjects import SUBJECTS

from tfcost.derive.offline import ttir_text
from tfcost.derive.ttir.errors import ParseError
from tfcost.derive.ttir.parse import parse_module
from tfcost.derive.ttir.tree import Location, Operation, Type, operations_in
from tfcost.derive.ttir.types import parse_type

REGIONS = """
#loc = loc("/src/kernel.py":3:0)
#loc1 = loc(unknown)
#loc5 = loc("/env/triton/language/standard.py":40:8)
module attributes {"a.b" = 1 : i32} {
  tt.func public @k(%x: !tt.ptr<f32> {tt.divisibility = 16 : i32} loc("x"(#loc)), %n: i32 loc("n"(#loc))) {
    %c0 = arith.constant 0 : i32 loc(#loc1)
    %c1 = arith.constant 1 : i32 loc(#loc1)
    %yes = arith.constant true loc(#loc1)
    %z = arith.constant dense<0.000000e+00> : tensor<4x8xf32> loc(#loc1)
    %0:2 = scf.for %i = %c0 to %n step %c1 iter_args(%a = %c0, %b = %z) -> (i32, tensor<4x8xf32>)  : i32 {
      %r:2 = "tt.reduce"(%b, %b) <{axis = 1 : i32}> ({
      ^bb0(%p: f32 loc("p"), %q: f32 loc("q"), %s: f32 loc("s"), %t: f32 loc("t")):
        %5 = arith.addf %p, %s : f32 loc(#loc2)
        tt.reduce.return %5, %t : f32, f32 loc(#loc3)
      }) : (tensor<4x8xf32>, tensor<4x8xf32>) -> (tensor<4xf32>, tensor<4xf32>) loc(#loc3)
      %5 = arith.addi %a, %i : i32 loc(#loc4)
      scf.yield %5, %b : i32, tensor<4x8xf32> loc(#loc4)
    } {tt.num_stages = 3 : i32} loc(#loc4)
    %1 = scf.if %yes -> (i32) {
      scf.yield %0#0 : i32 loc(#loc4)
    } else {
      scf.yield %c1 : i32 loc(#loc4)
    } loc(#loc6)
    %2 = scf.while (%w = %c0) : (i32) -> i32 {
      %5 = arith.cmpi slt, %w, %n : i32 loc(#loc4)
      scf.condition(%5) %w : i32 loc(#loc4)
    } do {
    ^bb0(%w: i32 loc("w")):
      scf.yield %w : i32 loc(#loc4)
    } loc(#loc4)
    scf.for %i = %c0 to %1 step %c1  : i32 {
      tt.store %x, %0#1, %yes : !tt.ptr<f32> loc(#loc4)
    } loc(#loc4)
    cf.cond_br %yes, ^bb1, ^bb2(%1, %2 : i32, i32) loc(#loc4)
  ^bb1:  // pred: ^bb0
    tt.return loc(#loc4)
  ^bb2(%u: i32 loc("u"), %v: i32 loc("v")):  // pred: ^bb0
    tt.print " a: { " {hex = false, isSigned = array<i32: 1>} : %u : i32 loc(#loc4)
    tt.return loc(#loc4)
  } loc(#loc)
} loc(#loc)
#loc2 = loc(callsite(#loc5 at #loc7))
#loc3 = loc("r"(#loc2))
#loc4 = loc(fused[#loc1, "/src/kernel.py":9:4])
#loc6 = loc(callsite("/src/kernel.py":20:1 at "/src/other.py":5:2))
#loc7 = loc("/src/kernel.py":12:30)
"""


def named(name: str) -> list[Operation]:
    return [op for op in operations_in(parse_module(REGIONS).kernel.body) if op.name == name]


def test_regions() -> None:
    kernel = parse_module(REGIONS).kernel
    assert [value.type for value in kernel.arguments] == [Type("f32", kind="pointer"), Type("i32")]
    assert [block.label for block in kernel.body.blocks] == ["", "bb1", "bb2"]
    (loop, bare) = named("scf.for")
    assert [value.name for value in loop.regions[0].entry.arguments] == ["%i", "%a", "%b"]
    assert [value.type for value in loop.results] == [Type("i32"), Type("f32", (4, 8))]
    assert loop.attributes == {"tt.num_stages": "3 : i32"}
    assert bare.results == ()
    (reduce,) = named("tt.reduce")
    assert (reduce.integer("axis"), [value.type.shape for value in reduce.results]) == (1, [(4,), (4,)])
    (branch,) = named("scf.if")
    assert len(branch.regions) == 2
    assert [op.name for op in named("scf.while")[0].regions[1].entry.operations] == ["scf.yield"]
    (jump,) = named("cf.cond_br")
    assert [(to.label, len(to.operands)) for to in jump.successors] == [("bb1", 0), ("bb2", 2)]


def test_equal_names_in_different_regions_are_different_values() -> None:
    operations = list(operations_in(parse_module(REGIONS).kernel.body))
    inner, outer, given = (
        next(op for op in operations if op.name == name) for name in ("arith.addf", "arith.addi", "scf.yield")
    )
    assert inner.result.name == outer.result.name == "%5"
    assert given.operands[0] is outer.result


def test_source_lines() -> None:
    """A library function counts as the line that calls it, a function of the user's as its own."""
    assert named("tt.reduce")[0].location == Location("/src/kernel.py", 12)
    assert named("arith.addi")[0].location == Location("/src/kernel.py", 9)
    assert named("scf.if")[0].location == Location("/src/kernel.py", 20)
    assert named("arith.constant")[0].location == Location()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("tensor<128x64xf16>", Type("f16", (128, 64))),
        ("tensor<64x!tt.ptr<bf16>>", Type("bf16", (64,), "pointer")),
        ("!tt.ptr<!tt.ptr<f32>>", Type("i64", (), "pointer")),
        ("!tt.ptr<f8E4M3FN, 1>", Type("f8E4M3FN", (), "pointer")),
        ("!tt.tensordesc<tensor<64x32xf16>>", Type("f16", (64, 32), "descriptor")),
        ("!tt.tensordesc<64x32xf16>", Type("f16", (64, 32), "descriptor")),
        ("i1", Type("i1")),
    ],
)
def test_types(text: str, expected: Type) -> None:
    assert parse_type(text) == expected


@pytest.mark.parametrize("box", ["<tensor<64x32xf16>>", "<64x32xf16>"])
def test_descriptors_of_both_spellings(box: str) -> None:
    text = f"""module {{
  tt.func public @k(%x: !tt.ptr<f16>, %m: i32, %s: i64, %d: !tt.tensordesc{box}) attributes {{noinline = false}} {{
    %0 = tt.make_tensor_descriptor %x, [%m, %m], [%s, %s] : <f16>, {box}
    %1 = tt.descriptor_load %0[%m, %m] : !tt.tensordesc{box} -> tensor<64x32xf16>
    tt.descriptor_store %d[%m, %m], %1 : !tt.tensordesc{box}, tensor<64x32xf16>
    tt.return
  }}
}}"""
    made, loaded, stored, _ = operations_in(parse_module(text).kernel.body)
    assert made.result.type == stored.operands[0].type == Type("f16", (64, 32), "descriptor")
    assert [len(group) for group in made.segments] == [2, 2]
    assert loaded.result.type == Type("f16", (64, 32))


BROKEN = [
    ("%5 = arith.addi %a, %i : i32", "%5 = arith.addi %a, %nothing : i32", "%nothing is not defined"),
    ("%5 = arith.addi %a, %i : i32", "%5 = arith.addi %a, %i : i33", "unknown type 'i33'"),
    ("%5 = arith.addi %a, %i : i32", "%5 ~ arith.addi", "not an operation"),
    ("%5 = arith.addi %a, %i : i32", "%5 = new.region %a {", "region of an unknown form"),
    ("= %c0 to %n step %c1 iter_args", "= %c0 upto %n step %c1 iter_args", "scf.for of an unknown form"),
    ("} do {", "} then {", "scf.while"),
    ("tt.func public @k(", "tt.function @k(", "expected 'tt.func"),
    ("module attributes", "modul attributes", "expected 'module"),
]


@pytest.mark.parametrize(("old", "new", "reason"), BROKEN)
def test_a_line_that_is_not_understood_is_shown(old: str, new: str, reason: str) -> None:
    text = REGIONS.replace(old, new, 1)
    with pytest.raises(ParseError, match=reason) as error:
        parse_module(text)
    number = int(str(error.value).split()[2].rstrip(":"))
    assert text.splitlines()[number - 1].strip()[:40] in str(error.value)


def test_a_text_that_ends_early_is_refused() -> None:
    with pytest.raises(ParseError, match="ends inside"):
        parse_module("\n".join(REGIONS.splitlines()[:30]))


@pytest.mark.parametrize("name", SUBJECTS)
def test_every_operation_of_real_kernels_has_its_line(name: str) -> None:
    subject = SUBJECTS[name]
    module = parse_module(ttir_text(subject.kernel, subject.signature, subject.constexprs))
    for operation in operations_in(module.kernel.body):
        if operation.name in ("tt.load", "tt.store", "tt.dot", "tt.descriptor_load", "scf.for", "tt.atomic_rmw"):
            assert operation.location.path == subject.path, operation
            assert operation.location.line > 0


def test_a_library_call_is_the_callers_line() -> None:
    subject = SUBJECTS["sorted rows"]
    module = parse_module(ttir_text(subject.kernel, subject.signature, subject.constexprs))
    reductions = [op for op in operations_in(module.kernel.body) if op.name == "tt.reduce"]
    assert reductions
    with open(kernels.__file__) as source:
        lines = source.read().splitlines()
    assert all("tl.sort" in lines[op.location.line - 1] for op in reductions)

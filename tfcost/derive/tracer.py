"""The dispatch mode that sees every tensor operation of a run and files what it costs.

In: torch operations on fake tensors (sizes symbolic). Out: `records` (label, name and amounts per operation), a
`Memory`, and the bytes of each distinct tensor touched. Triton launches are filed by `launch.py` through `file`.
"""

from dataclasses import dataclass
from typing import Any

import sympy as sp
import torch
from torch._subclasses.fake_tensor import DynamicOutputShapeException
from torch.utils._python_dispatch import TorchDispatchMode

from tfcost.cost import AMOUNTS
from tfcost.derive.errors import DerivationError
from tfcost.derive.labels import Label, current_label, in_user_code
from tfcost.derive.memory import Memory, undominated
from tfcost.derive.rules import Amounts, Call, amounts_of, operation_name
from tfcost.derive.rules.registry import ZERO
from tfcost.derive.sizes import Sizes
from tfcost.derive.workspace import DTYPES, RULES
from tfcost.formula import Formula

# Ask about a tensor, compute nothing and return no tensor.
_QUESTIONS = frozenset({"prim.device", "prim.layout", "aten.sym_size", "aten.sym_numel", "aten.sym_stride",
                        "aten.sym_storage_offset", "aten.is_same_size", "aten._assert_tensor_metadata",
                        "aten.is_contiguous"})  # fmt: skip
# The value of an element decides what happens next: no symbolic answer.
_DATA_DEPENDENT = frozenset({"aten._local_scalar_dense", "aten.equal", "aten.is_nonzero"})


@dataclass(frozen=True, slots=True)
class Record:
    """One operation that ran: where it came from and what it cost. `launch` groups the lines of one kernel, `group` is
    that of GPUs which a collective runs over.
    """

    label: Label
    name: str
    matmul_flops: sp.Expr
    scalar_flops: sp.Expr
    read_bytes: sp.Expr
    write_bytes: sp.Expr
    communicated_bytes: sp.Expr = ZERO
    collectives: sp.Expr = ZERO
    group: str = ""
    launch: str = ""
    launches: int = 1
    note: str = ""


@dataclass(frozen=True, slots=True)
class _Touched:
    """The bytes of one storage, and those of each distinct part of it that was read or written."""

    whole: sp.Expr
    parts: dict[tuple[object, ...], sp.Expr]


def _as_code(condition: sp.Basic) -> str:
    """The condition as Python writes it: n != 1024."""
    if isinstance(condition, sp.Eq | sp.Ne):
        return f"{condition.lhs} {condition.rel_op} {condition.rhs}"
    return str(condition)


def _smaller(first: sp.Expr, second: sp.Expr) -> sp.Expr:
    larger = undominated((first, second))
    if len(larger) > 1:
        return sp.Min(first, second)
    return first if sp.expand(second - larger[0]) == 0 else second


class Tracer(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Files every operation while `recording`; tracks memory all the time."""

    def __init__(self, sizes: Sizes, device: str) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.sizes = sizes
        self.memory = Memory(sizes)
        self.recording = False
        self.records: list[Record] = []
        self.workspace_used: set[str] = set()
        self.sram_bytes: list[sp.Expr] = []
        self.launched = False
        self.converted = False
        self.given_bytes: sp.Expr = sp.Integer(0)
        self._workspace, self._dtypes = RULES[device], DTYPES[device]
        self._given: set[int] = set()
        self._touched: dict[tuple[str, int], _Touched] = {}
        self._notes: list[str] = []
        self._declared: dict[int, tuple[sp.Expr, sp.Expr | None]] = {}

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        name = operation_name(func)
        if name in _QUESTIONS:
            return func(*args, **kwargs)
        self.memory.sweep()
        if name in _DATA_DEPENDENT:
            raise DerivationError(f"{current_label().location}: {name} reads a value that only real data has")
        if func is torch.ops.aten.add.Tensor and _engine_would_add_in_place(args):
            func, name = torch.ops.aten.add_.Tensor, "aten.add_"
        if func is torch.ops.aten.scatter_add.default and _engine_asks():
            # Gather's gradient: only on tensor subclasses, as fake tensors are, does autograd copy the zeros it adds to
            # (torch/csrc/autograd/FunctionsManual.cpp, gather's formula in ATen/native/TensorAdvancedIndexing.cpp).
            func, name = torch.ops.aten.scatter_add_.default, "aten.scatter_add_"
        try:
            result = func(*args, **kwargs)
        except DynamicOutputShapeException as error:
            raise DerivationError(
                f"{current_label().location}: {name} gives a tensor whose size only real data decides"
            ) from error
        result = self._typed_as_on_device(name, result)
        self._file_operation(Call(func, args, kwargs, result, self.sizes), name)
        return result

    def begin(self) -> None:
        """A pass begins: what is alive now is given to it, and operations count from here."""
        self.memory.start_phase()
        self.given_bytes = self.memory.live()
        self._given = self.memory.serials()
        self._touched = {}
        self.records, self.sram_bytes, self._notes = [], [], []
        self.workspace_used = set()
        self.recording = True

    def unique_bytes(self) -> sp.Expr:
        """Bytes of the inputs that were read, and of everything that was written, each counted once.

        Parts of one tensor are taken to be apart from each other; where they are not, this is an upper bound.
        """
        return sp.Add(*(_smaller(sp.Add(*touched.parts.values()), touched.whole) for touched in self._touched.values()))

    @property
    def notes(self) -> list[str]:
        """What the result supposes or leaves open: remarks on kernels, and the ways the code took by its sizes."""
        taken = (f"{_as_code(condition)}, by which {place} decides" for condition, place in self.sizes.decisions())
        return [*self._notes, *taken]

    def note(self, text: str) -> None:
        """Adds a remark on this pass."""
        self._notes.append(text)

    def declare(self, tensor: torch.Tensor, value: str, at_most: Any) -> None:
        """Keeps what the technique declares of an index tensor's elements (`tfcost.declared`)."""
        bound = None if at_most is None else self.sizes.expr(at_most)
        self._declared[self.memory.serial(tensor)] = Formula(value).sympy, bound

    def declared(self, tensor: torch.Tensor) -> tuple[sp.Expr, sp.Expr | None] | None:
        """The declared value of the tensor's elements and its bound; None if nothing is declared."""
        return self._declared.get(self.memory.serial(tensor)) if self.memory.knows(tensor) else None

    def file(self, record: Record) -> None:
        """Files a record made elsewhere (a Triton launch)."""
        if self.recording:
            self.records.append(record)

    def touch_read(self, tensor: torch.Tensor, size: sp.Expr) -> None:
        """Counts what is read of an input towards `unique_bytes`; `size` is that of the tensor's distinct elements."""
        if self.memory.serial(tensor) in self._given:
            self._touch("read", tensor, size)

    def touch_write(self, tensor: torch.Tensor, size: sp.Expr) -> None:
        """Counts what is written of a tensor towards `unique_bytes`."""
        self._touch("write", tensor, size)

    def _touch(self, kind: str, tensor: torch.Tensor, size: sp.Expr) -> None:
        if self.recording:
            whole = _Touched(self.memory.storage_bytes(tensor), {})
            touched = self._touched.setdefault((kind, self.memory.serial(tensor)), whole)
            touched.parts.setdefault(self.sizes.view_key(tensor), size)

    def _file_operation(self, call: Call, name: str) -> None:
        label = current_label()
        self.sizes.place_conditions(label.location)
        for tensor in call.inputs:
            if not self.memory.knows(tensor) and name != "aten.lift_fresh":
                raise DerivationError(
                    f"{label.location}: {name} uses a tensor of shape {list(tensor.shape)} that is no argument of the "
                    "function and was not made in it; pass it as an argument"
                )
        fresh = [tensor for tensor in call.outputs if self.memory.track(tensor, label, name)]
        if fresh:
            self.memory.note()
        if not self.recording:
            return
        self._note_workspace(call, label, name)
        # A conversion copies in one dtype and does nothing in another: such a trace holds for its own dtype alone.
        self.converted |= name == "aten._to_copy" and any(t.dtype.is_floating_point for t in call.outputs)
        amounts = amounts_of(call, label.location)
        written = _written(call, fresh)
        record = Record(
            label, name, sp.expand(amounts.matmul_flops), sp.expand(amounts.scalar_flops),
            sp.expand(_read_bytes(call, amounts)), sp.expand(_write_bytes(call, written, amounts)),
            sp.expand(amounts.communicated_bytes), sp.Integer(bool(amounts.communicated_bytes)), amounts.group,
        )  # fmt: skip
        if any(getattr(record, amount) for amount in AMOUNTS):
            self.records.append(record)
        if record.read_bytes:
            for tensor in call.inputs:
                self.touch_read(tensor, call.distinct_bytes(tensor))
        if record.write_bytes:
            for tensor in written:
                self.touch_write(tensor, call.distinct_bytes(tensor))

    def _typed_as_on_device(self, name: str, result: Any) -> Any:
        rule = self._dtypes.get(name)
        if rule is None:
            return result
        if self.recording:
            self.workspace_used.add(rule.source)
        return tuple(
            torch.empty_like(one, dtype=rule.dtype) if place in rule.places else one for place, one in enumerate(result)
        )

    def _note_workspace(self, call: Call, label: Label, name: str) -> None:
        rule = self._workspace.get(name)
        size = rule.bytes_of(call) if rule is not None else sp.S.Zero
        if rule is not None and size != 0:
            self.memory.note(size, label, name)
            self.workspace_used.add(rule.source)


def _written(call: Call, fresh: list[torch.Tensor]) -> list[torch.Tensor]:
    """The tensors the operation writes: its new results, or the arguments it changes in place."""
    schema = call.func._schema
    changed = []
    for position, argument in enumerate(schema.arguments):
        if argument.alias_info is not None and argument.alias_info.is_write:
            value = call.args[position] if position < len(call.args) else call.kwargs.get(argument.name)
            if isinstance(value, torch.Tensor):
                changed.append(value)
    return fresh + changed


def _read_bytes(call: Call, amounts: Amounts) -> sp.Expr:
    if amounts.read_bytes is not None:
        return amounts.read_bytes
    return sp.Add(
        *(call.distinct_bytes(tensor) for tensor in {call.sizes.view_key(t): t for t in call.inputs}.values())
    )


def _write_bytes(call: Call, written: list[torch.Tensor], amounts: Amounts) -> sp.Expr:
    if amounts.write_bytes is not None:
        return amounts.write_bytes
    return sp.Add(*(call.distinct_bytes(tensor) for tensor in written))


# How often a tensor and its storage are referenced while dispatched, if the engine's buffer alone holds them.
_SOLE_TENSOR_USES, _SOLE_STORAGE_USES = 4, 2


def _engine_asks() -> bool:
    """Whether autograd's engine, not a line of the traced code, asked for the operation."""
    return torch._C._current_autograd_node() is not None and not in_user_code() and not torch.is_grad_enabled()


def _engine_would_add_in_place(args: Any) -> bool:
    """Whether this addition is autograd summing two gradients of one tensor, which outside a dispatch mode reuses the
    first one's memory if nobody else holds it (torch/csrc/autograd/input_buffer.cpp, can_accumulate_inplace).
    """
    if not _engine_asks():
        return False
    first = args[0]
    if not isinstance(first, torch.Tensor) or not isinstance(args[1], torch.Tensor):
        return False
    storage_uses = torch._C._storage_Use_Count(first.untyped_storage()._cdata)
    tensor_uses = first._use_count()  # type: ignore[attr-defined]
    sole = tensor_uses == _SOLE_TENSOR_USES and storage_uses == _SOLE_STORAGE_USES
    return bool(sole and torch.ops.aten.is_non_overlapping_and_dense(first))

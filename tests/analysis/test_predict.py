"""Predicted time: against the roofline worked out by hand for small costs."""

import pytest

from tfcost.analysis.devices import Device, load_device
from tfcost.analysis.predict import predict
from tfcost.cost import Cost, Operation, Quantity
from tfcost.errors import UserError
from tfcost.formula import Formula


def figure(value: float) -> dict[str, object]:
    return {"value": value, "source": "made up"}


DEVICE = Device.model_validate(
    {
        "name": "toy",
        "label": "Toy",
        "matmul_flops": {"bfloat16": figure(1000), "float32": figure(100)},
        "scalar_flops": figure(50),
        "bandwidth": figure(10),
        "memory_bytes": figure(1e6),
        "l2_bytes": figure(1e3),
        "multiprocessors": figure(2),
        "sram_bytes": figure(64),
        "launch_seconds": figure(0.5),
    }
)


def operation(name: str, launch: str = "", launches: int = 1, **amounts: str) -> Operation:
    formulas = {key: Formula(text) for key, text in amounts.items()}
    return Operation(name, "step", "file.py:1", "code", formulas, launch, launches)


def cost(*operations: Operation, unique: str | None = None) -> Cost:
    quantities = {} if unique is None else {"unique_bytes": Quantity(Formula(unique), "traced")}
    return Cost(
        technique="toy",
        implementation="torch",
        scope="core",
        pass_="forward",
        dtypes=("bfloat16",),
        variant={},
        fixed={"d_h": 4},
        symbols=("n",),
        quantities=quantities,
        steps=(),
        operations=operations,
    )


MATMUL = operation("mm", matmul_flops="1000*n*d_h", read_bytes="10*n", write_bytes="5*n")
ADD = operation("add", scalar_flops="n", read_bytes="100*n", write_bytes="50*n")
NOTHING = operation("view", launches=0)


def test_each_operation_is_a_roofline() -> None:
    found = predict(cost(MATMUL, ADD, NOTHING), {"n": 10}, DEVICE)
    matmul = max(1000 * 10 * 4 / 1000, 15 * 10 / 10)
    add = max(10 / 50, 150 * 10 / 10)
    assert found.seconds == pytest.approx(matmul + 0.5 + add + 0.5)
    assert [part.bound for part in found.parts] == ["matmul", "memory", "matmul"]
    assert found.bound == "memory"
    assert found.kind == "prediction"
    assert found.shares["memory"] == pytest.approx(add / found.seconds)
    assert found.shares["launch"] == pytest.approx(1 / found.seconds)
    assert sum(found.shares.values()) == pytest.approx(1)


def test_the_dtype_picks_the_peak() -> None:
    found = predict(cost(MATMUL), {"n": 10}, DEVICE, dtype="float32")
    assert found.seconds == pytest.approx(1000 * 10 * 4 / 100 + 0.5)
    with pytest.raises(UserError, match="no peak for float16, only for bfloat16, float32"):
        predict(cost(MATMUL), {"n": 10}, DEVICE, dtype="float16")


def test_lines_of_one_launch_share_one_roofline() -> None:
    load = operation("tt.load", launch="k@1", launches=1, read_bytes="100*n")
    dot = operation("tt.dot", launch="k@1", launches=0, matmul_flops="500*n")
    found = predict(cost(load, ADD, dot), {"n": 10}, DEVICE)
    assert len(found.parts) == 2
    assert found.parts[0].seconds == pytest.approx(max(100 * 10 / 10, 500 * 10 / 1000) + 0.5)


def test_a_kernel_reads_distinct_bytes_from_device_memory() -> None:
    load = operation("tt.load", launch="k@1", read_bytes="n**2")
    assert predict(cost(load, unique="8*n"), {"n": 100}, DEVICE).seconds == pytest.approx(800 / 10 + 0.5)
    assert predict(cost(load), {"n": 100}, DEVICE).seconds == pytest.approx(100**2 / 10 + 0.5)
    assert predict(cost(load, unique="8*n"), {"n": 4}, DEVICE).seconds == pytest.approx(4**2 / 10 + 0.5)


def test_launches_can_rule() -> None:
    assert predict(cost(ADD), {"n": 0}, DEVICE).bound == "launch"
    assert predict(cost(), {"n": 1}, DEVICE).seconds == 0


def test_a_large_matmul_on_the_h100_takes_flops_over_peak() -> None:
    square = operation("mm", matmul_flops="2*n**3", read_bytes="4*n**2", write_bytes="2*n**2")
    found = predict(cost(square), {"n": 16384}, load_device("h100-sxm"))
    assert found.seconds == pytest.approx(2 * 16384**3 / 989.4e12, rel=1e-3)
    assert (found.bound, found.device, found.dtype) == ("matmul", "h100-sxm", "bfloat16")


def test_errors() -> None:
    with pytest.raises(UserError, match="no value for n"):
        predict(cost(MATMUL), {}, DEVICE)
    with pytest.raises(UserError, match="too large"):
        predict(cost(MATMUL), {"n": 10**400}, DEVICE)
    assert predict(cost(MATMUL), {"n": 10**30}, DEVICE).seconds == pytest.approx(4e30)


def test_without_a_launch_time_launches_are_left_out_and_said_to_be() -> None:
    silent = DEVICE.model_copy(update={"launch_seconds": None})
    found = predict(cost(MATMUL, ADD), {"n": 10}, silent)
    assert found.seconds == pytest.approx(predict(cost(MATMUL, ADD), {"n": 10}, DEVICE).seconds - 2 * 0.5)
    assert found.lacks == ("toy has no figure for launches: they count as no time",)
    assert predict(cost(MATMUL), {"n": 10}, DEVICE).lacks == ()

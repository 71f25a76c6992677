"""The device table: every file loads, says where its figures come from, and is dense; bad files are told apart."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tfcost.analysis.devices import Device, Figure, device_names, load_device
from tfcost.errors import UserError

NAMES = {
    "h100-sxm", "h100-pcie", "h200", "a100-sxm-40", "a100-pcie-40", "a100-sxm-80", "a100-pcie-80", "b200", "l4", "l40s",
    "rtx-4090", "rtx-5090", "mi300x", "apple-m3-max", "epyc-9654",
}  # fmt: skip

DENSE = {
    # clock in Hz, FLOP per cycle and multiprocessor in 16-bit products with fp32 accumulation, without sparsity
    "h100-sxm": (1.83e9, 4096),
    "h100-pcie": (1.62e9, 4096),
    "h200": (1.83e9, 4096),
    "a100-sxm-40": (1.41e9, 2048),
    "a100-pcie-40": (1.41e9, 2048),
    "a100-sxm-80": (1.41e9, 2048),
    "a100-pcie-80": (1.41e9, 2048),
    "b200": (1.86e9, 8192),
    "l4": (2.04e9, 1024),
    "l40s": (2.49e9, 1024),
    "rtx-4090": (2.52e9, 512),
    "rtx-5090": (2.407e9, 512),
    "mi300x": (2.1e9, 2048),
}


def test_the_table() -> None:
    assert set(device_names()) == NAMES


@pytest.mark.parametrize("name", device_names())
def test_every_device_is_plausible_and_says_its_sources(name: str) -> None:
    device = load_device(name)
    assert device.name == name
    given = [getattr(device, key) for key in Device.model_fields]
    figures = [*device.matmul_flops.values(), *(one for one in given if isinstance(one, Figure))]
    assert all(len(figure.source) > 10 for figure in figures)
    peaks = {dtype: figure.value for dtype, figure in device.matmul_flops.items()}
    assert peaks.get("bfloat16", peaks.get("float16")) == peaks.get("float16")
    assert peaks["float32"] == device.scalar_flops.value
    assert 1e11 < device.bandwidth.value < 1e13
    assert device.launch_seconds is None or 0.5e-6 < device.launch_seconds.value < 50e-6


@pytest.mark.parametrize("name", DENSE)
def test_peaks_are_dense_by_units_and_clock(name: str) -> None:
    device = load_device(name)
    clock, each = DENSE[name]
    assert device.multiprocessors is not None
    assert device.matmul_peak("bfloat16") == pytest.approx(clock * each * device.multiprocessors.value, rel=0.01)


def test_the_h100s_on_chip_memory() -> None:
    found = load_device("h100-sxm").sram_bytes
    assert found is not None
    assert found.value == 228 * 1024


def test_memory_that_the_cpu_shares() -> None:
    assert {name for name in device_names() if load_device(name).unified_memory} == {"apple-m3-max", "epyc-9654"}


def test_unknown_name() -> None:
    with pytest.raises(UserError, match="did you mean 'h100-sxm'"):
        load_device("h100-sxn")


BAD = [
    (("bandwidth:", "bandwith:"), "unknown key 'bandwith'; did you mean 'bandwidth'"),
    (("value: 132", "value: many"), "multiprocessors.value"),
    (("value: 132", "value: -1"), "multiprocessors.value"),
    (("value: 132", "value: 0"), "multiprocessors.value"),
    (("value: 132", "value: .inf"), "multiprocessors.value"),
    (("value: 132", "valeu: 132"), "unknown key 'valeu'; did you mean 'value'"),
    (("value: 132", "value: !!python/object:os.system 1"), "tag"),
    (("value: 3.35e12", "value: 335e12"), "bandwidth = 3.35e+14 B/s cannot be: from 1e+08 to 1e+14 B/s"),
    (("value: 3.35e12", "value: 3.35"), "bandwidth = 3.35 B/s cannot be"),
    (("value: 494.7e12", "value: 494.7e18"), "matmul_flops.tf32 = 4.947e+20 FLOP/s cannot be"),
    (("  tf32:", "  tf23:"), "unknown dtype 'tf23'; did you mean 'tf32'"),
    (("value: 1978.9e12", "value: 3957.8e12"), "float8 is 4 times bfloat16, where twice is to be expected"),
]


@pytest.mark.parametrize(("change", "words"), BAD)
def test_bad_files(tmp_path: Path, change: tuple[str, str], words: str) -> None:
    good = (Path(__file__).parents[2] / "tfcost" / "devices" / "h100-sxm.yaml").read_text()
    assert good.count(change[0]) == 1
    line = good[: good.index(change[0])].count("\n") + 1
    path = tmp_path / "mine.yaml"
    path.write_text(good.replace(*change))
    with pytest.raises(UserError) as caught:
        load_device(str(path))
    assert str(caught.value).startswith(f"{path}:{line}: ")
    assert words in str(caught.value)


def test_a_missing_figure_and_a_peak_that_fits_none_of_its_neighbours(tmp_path: Path) -> None:
    good = (Path(__file__).parents[2] / "tfcost" / "devices" / "h100-sxm.yaml").read_text()
    path = tmp_path / "mine.yaml"
    path.write_text(good.replace("label: NVIDIA H100 SXM5 80 GB", ""))
    with pytest.raises(UserError, match=r"mine\.yaml:1: 'label' is missing"):
        load_device(str(path))
    other = tmp_path / "other.yaml"
    other.write_text(good.replace("value: 494.7e12", "value: 989.4e12"))
    with pytest.raises(UserError, match=r"other\.yaml:8: matmul_flops\.bfloat16 is 1 times tf32"):
        load_device(str(other))


def test_all_peaks_with_sparsity(tmp_path: Path) -> None:
    good = (Path(__file__).parents[2] / "tfcost" / "devices" / "a100-sxm-80.yaml").read_text()
    path = tmp_path / "mine.yaml"
    path.write_text(good.replace("312e12", "624e12").replace("156e12", "312e12"))
    with pytest.raises(UserError, match=r"twice the dense peak of a100-.*without sparsity"):
        load_device(str(path))


def test_a_file_of_ones_own(tmp_path: Path) -> None:
    good = (Path(__file__).parents[2] / "tfcost" / "devices" / "h100-sxm.yaml").read_text()
    path = tmp_path / "mine.yaml"
    path.write_text(good.replace("name: h100-sxm", "name: mine"))
    assert load_device(str(path)).name == "mine"


TEXTS = st.text(max_size=12) | st.sampled_from(["-1", "1e400", "[", "{a: b}", "null"])


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(start=st.integers(0, 2000), length=st.integers(0, 60), text=TEXTS)
def test_whatever_stands_in_a_file_it_is_a_device_or_one_error(
    tmp_path: Path, start: int, length: int, text: str
) -> None:
    good = (Path(__file__).parents[2] / "tfcost" / "devices" / "h100-sxm.yaml").read_text()
    path = tmp_path / "mine.yaml"
    path.write_text(good[:start] + text + good[start + length :], encoding="utf-8", errors="replace")
    told = ""
    try:
        load_device.__wrapped__(str(path))
    except UserError as error:
        told = str(error)
    assert told == "" or told.startswith(f"{path}:")

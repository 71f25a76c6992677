"""The device table: every file loads, says where its figures come from, and is dense; bad files are told apart."""

from pathlib import Path

import pytest

from tfcost.analysis.devices import Device, device_names, load_device
from tfcost.errors import UserError


def test_the_table() -> None:
    assert {"h100-sxm", "a100-sxm-80", "h200", "l4"} <= set(device_names())


@pytest.mark.parametrize("name", device_names())
def test_every_device_is_complete_and_plausible(name: str) -> None:
    device = load_device(name)
    assert device.name == name
    figures = [
        *device.matmul_flops.values(),
        *(getattr(device, key) for key in Device.model_fields if key not in ("name", "label", "matmul_flops")),
    ]
    assert all(len(figure.source) > 10 for figure in figures)
    peaks = {dtype: figure.value for dtype, figure in device.matmul_flops.items()}
    assert peaks["bfloat16"] == peaks["float16"]
    assert 1.9 < peaks["bfloat16"] / peaks["tf32"] < 2.1
    assert peaks["float32"] == device.scalar_flops.value
    assert 0.5e-6 < device.launch_seconds.value < 50e-6


def test_the_h100_is_dense() -> None:
    h100 = load_device("h100-sxm")
    clock, per_multiprocessor = 1.83e9, 4096  # FMA per cycle and multiprocessor, white paper
    assert h100.matmul_peak("bfloat16") == pytest.approx(2 * clock * per_multiprocessor * 132 / 2, rel=0.01)
    assert h100.sram_bytes.value == 228 * 1024


def test_unknown_name() -> None:
    with pytest.raises(UserError, match="did you mean 'h100-sxm'"):
        load_device("h100-sxn")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (("bandwidth:", "bandwith:"), "unknown key 'bandwith'; did you mean 'bandwidth'"),
        (("value: 132", "value: many"), "multiprocessors.value"),
        (("value: 132", "value: -1"), "multiprocessors.value"),
        (("value: 132", "value: .inf"), "multiprocessors.value"),
        (("value: 132", "value: !!python/object:os.system 1"), "tag"),
        (("label: NVIDIA H100 SXM5 80 GB", ""), "label"),
    ],
)
def test_bad_files(tmp_path: Path, change: tuple[str, str], words: str) -> None:
    good = (Path(__file__).parents[2] / "tfcost" / "devices" / "h100-sxm.yaml").read_text()
    assert change[0] in good
    path = tmp_path / "mine.yaml"
    path.write_text(good.replace(*change))
    with pytest.raises(UserError, match=words) as caught:
        load_device(str(path))
    assert str(caught.value).startswith(str(path))


def test_a_file_of_ones_own(tmp_path: Path) -> None:
    good = (Path(__file__).parents[2] / "tfcost" / "devices" / "h100-sxm.yaml").read_text()
    path = tmp_path / "mine.yaml"
    path.write_text(good.replace("name: h100-sxm", "name: mine"))
    assert load_device(str(path)).name == "mine"

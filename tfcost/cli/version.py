"""What is installed here: tfcost, Python, torch, triton, CUDA, the GPU; found without importing torch."""

import platform
from importlib import metadata

import tfcost

_NONE = "not found"


def version_text() -> str:
    """One line per component; "not found" where it is missing."""
    driver, devices = _gpu()
    rows = {
        "tfcost": tfcost.__version__,
        "python": platform.python_version(),
        "torch": _installed("torch"),
        "triton": _installed("triton"),
        "CUDA": driver,
        "GPU": devices,
    }
    return "\n".join(f"{name:<7} {found}" for name, found in rows.items())


def _installed(distribution: str) -> str:
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return _NONE


def _gpu() -> tuple[str, str]:
    """The CUDA version of the driver and the names of the devices, as NVIDIA's management library tells them."""
    try:
        import pynvml
    except ImportError:
        return _NONE, f"{_NONE} (nvidia-ml-py is not installed)"
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        return _NONE, _NONE
    try:
        version = pynvml.nvmlSystemGetCudaDriverVersion()
        handles = [pynvml.nvmlDeviceGetHandleByIndex(index) for index in range(pynvml.nvmlDeviceGetCount())]
        names = ", ".join(str(pynvml.nvmlDeviceGetName(handle)) for handle in handles)
        return f"{version // 1000}.{version % 1000 // 10}", names or _NONE
    finally:
        pynvml.nvmlShutdown()

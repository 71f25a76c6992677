"""The analysis starts without torch, triton and sympy."""

import subprocess
import sys
from pathlib import Path

import pytest

MODULES = sorted(path.stem for path in (Path(__file__).parents[2] / "tfcost" / "analysis").glob("[a-z]*.py"))


@pytest.mark.parametrize("forbidden", ["torch", "triton", "sympy"])
def test_light_imports(forbidden: str) -> None:
    imports = "; ".join(f"import tfcost.analysis.{module}" for module in MODULES)
    code = f"import sys; {imports}; sys.exit('{forbidden}' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0

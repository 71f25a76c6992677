"""The README's blocks of output are what the commands print, and measured numbers stand in such blocks alone."""

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

from tfcost.evidence.read import committed_paths

SCRIPT = Path(__file__).parent.parent / ".ci" / "readme.py"


@pytest.fixture(scope="module")
def readme() -> ModuleType:
    spec = importlib.util.spec_from_file_location("readme", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_blocks_are_what_the_commands_print(readme: ModuleType) -> None:
    text = readme.README.read_text(encoding="utf-8")
    assert readme.updated(text, readme.run) == text


def test_committed_evidence_is_shown(readme: ModuleType) -> None:
    commands = [block[1] for block in readme.BLOCK.findall(readme.README.read_text(encoding="utf-8"))]
    assert any("verify --claims" in command for command in commands) == bool(committed_paths())


def test_a_block_is_replaced_whole(readme: ModuleType) -> None:
    text = "before\n<!-- $ tfcost a --b 'c d' -->\nold\nlines\n<!-- end -->\nafter\n<!-- $ tfcost e -->\n<!-- end -->\n"
    found = readme.updated(text, lambda arguments: f"{arguments}\n")
    assert found == (
        "before\n<!-- $ tfcost a --b 'c d' -->\n\n['a', '--b', 'c d']\n\n<!-- end -->\nafter\n"
        "<!-- $ tfcost e -->\n\n['e']\n\n<!-- end -->\n"
    )
    assert readme.updated(found, lambda arguments: f"{arguments}\n") == found

"""What `docs/proofs.md` names is there."""

import ast
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
_NAMED = re.compile(r"`(tests/[\w/]+\.py)::(\w+)`")


def named_in(path: Path) -> set[str]:
    if not path.exists():
        return set()
    return {node.name for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.FunctionDef)}


def test_every_proof_that_is_named_exists() -> None:
    promises = [line for line in (ROOT / "docs" / "proofs.md").read_text().splitlines() if line.startswith("| ")]
    promises = [line for line in promises if line != "| promise | test |"]
    assert len(promises) > 20
    assert [line for line in promises if not _NAMED.search(line)] == [], "a promise without a test"
    named = [name for line in promises for name in _NAMED.findall(line)]
    assert [f"{path}::{test}" for path, test in named if test not in named_in(ROOT / path)] == []

"""What import-linter cannot see, and what documents promise about the tree."""

import ast
import re
import tomllib
from graphlib import TopologicalSorter
from pathlib import Path

from huntaze.settings import example_file

ROOT = Path(__file__).resolve().parents[1]
SOURCE = ROOT / "src"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())


def module_name(path: Path) -> str:
    parts = path.relative_to(SOURCE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def test_every_folder_with_modules_is_a_package() -> None:
    folders = {path.parent for path in (SOURCE / "huntaze").rglob("*.py")}
    assert [folder for folder in folders if not (folder / "__init__.py").exists()] == []


def test_no_circle_of_imports_anywhere() -> None:
    """Over all modules, type-checking blocks and imports inside functions included."""
    files = {module_name(path): path for path in (SOURCE / "huntaze").rglob("*.py")}
    graph: dict[str, set[str]] = {}
    for name, path in files.items():
        wanted: set[str] = set()
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                wanted |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                inside = {f"{node.module}.{alias.name}" for alias in node.names}
                wanted |= {one for one in inside if one in files} or {node.module}
        graph[name] = {one for one in wanted if one in files and one != name}
    order = list(TopologicalSorter(graph).static_order())  # raises CycleError, naming the circle
    assert len(order) == len(files)


def test_the_example_of_the_environment_is_up_to_date() -> None:
    assert (ROOT / ".env.example").read_text() == example_file(), "run make env-example"


def test_every_direct_dependency_has_its_reason() -> None:
    reasons = (ROOT / "docs" / "dependencies.md").read_text()
    groups = [
        PROJECT["project"]["dependencies"],
        *PROJECT["project"]["optional-dependencies"].values(),
        *PROJECT["dependency-groups"].values(),
    ]
    names = [re.split(r"[\[<>=~ ]", requirement)[0] for group in groups for requirement in group]
    assert [name for name in names if f"`{name}`" not in reasons] == []


def test_no_part_of_the_product_is_patched_by_tests() -> None:
    patched = [path for path in (ROOT / "tests").rglob("*.py") if "unittest.mock" in path.read_text()]
    assert [path for path in patched if path != Path(__file__)] == []

"""Prompts, read from the package's own files."""

from dataclasses import dataclass
from functools import cache
from importlib.resources import files


@dataclass(frozen=True)
class Prompt:
    """`system`: our words to the model. `version`: under which answers are kept, `suggestions.1`."""

    version: str
    system: str


@cache
def load(version: str) -> Prompt:
    """By name and number, which are ours. Raises FileNotFoundError."""
    path = files("huntaze.pipelines.ai.prompts") / f"{version}.txt"
    return Prompt(version, path.read_text(encoding="utf-8").strip())

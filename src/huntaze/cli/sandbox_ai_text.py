"""What the sandbox says where there is no picture: how much it was asked, or an empty form of what was asked for. No
model has read anything, and every text says so."""

import json
from typing import Any

SAYS = "SANDBOX: no model has read this."
_DEEPEST = 12


def answer_text(prompt: str, schema: dict[str, Any] | None) -> str:
    """Words, or JSON after the schema of the request."""
    if schema is None:
        return f"{SAYS} The request holds {len(prompt)} characters in {len(prompt.split())} words."
    return json.dumps(fill(schema, schema.get("$defs", {})))


def fill(schema: dict[str, Any], defs: dict[str, Any], depth: int = 0) -> Any:
    """A value that the schema allows, as far as it is plain: the first of what it can choose from, else the least."""
    if depth > _DEEPEST:
        return None
    if "$ref" in schema:
        return fill(defs.get(str(schema["$ref"]).rpartition("/")[2], {}), defs, depth + 1)
    for choice in ("anyOf", "oneOf"):
        if schema.get(choice):
            return fill(schema[choice][0], defs, depth + 1)
    if "const" in schema or schema.get("enum"):
        return schema["const"] if "const" in schema else schema["enum"][0]
    kind = schema.get("type")
    if kind == "object":
        return {name: fill(each, defs, depth + 1) for name, each in schema.get("properties", {}).items()}
    if kind == "array":
        count = max(int(schema.get("minItems", 1)), 1)
        return [_numbered(fill(schema.get("items", {}), defs, depth + 1), at) for at in range(1, count + 1)]
    if kind in ("integer", "number"):
        return schema.get("minimum", 0)
    return {"string": SAYS[: int(schema.get("maxLength", 10_000))], "boolean": False}.get(str(kind))


def _numbered(value: Any, at: int) -> Any:
    """Items of a list differ: what is told three times counts once for those who look for repetitions."""
    if value == SAYS:
        return f"{SAYS} ({at})"
    if isinstance(value, dict):
        return {name: _numbered(each, at) for name, each in value.items()}
    return value

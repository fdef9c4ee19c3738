"""Terms as JSON, for the store and the doors: {"kind": "per_unit", "unit_amount": "0.25"}; numbers are strings."""

from typing import Any

from pydantic import TypeAdapter, ValidationError

from huntaze.pipelines.billing.errors import BillingError
from huntaze.pipelines.billing.pricing import Flat, Package, Percentage, PerUnit, Terms, Tiered

_KINDS: dict[str, TypeAdapter[Any]] = {
    kind: TypeAdapter(one)
    for kind, one in {
        "flat": Flat,
        "per_unit": PerUnit,
        "tiered": Tiered,
        "package": Package,
        "percentage": Percentage,
    }.items()
}
_NAMES = {Flat: "flat", PerUnit: "per_unit", Tiered: "tiered", Package: "package", Percentage: "percentage"}


def terms_to_json(terms: Terms) -> dict[str, Any]:
    """JSON-ready; `terms_from_json` gives the same terms back."""
    kind = _NAMES[type(terms)]
    return {"kind": kind, **_KINDS[kind].dump_python(terms, mode="json")}


def terms_from_json(document: dict[str, Any]) -> Terms:
    """Raises BillingError, naming the field."""
    fields = {name: value for name, value in document.items() if name != "kind"}
    adapter = _KINDS.get(str(document.get("kind")))
    if adapter is None:
        raise BillingError("billing.bad_terms", f"kind: one of {', '.join(_KINDS)} is expected.")
    try:
        terms: Terms = adapter.validate_python(fields)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise BillingError("billing.bad_terms", f"{where}: {first['msg']}") from None
    return terms

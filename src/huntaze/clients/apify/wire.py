"""What Apify's API says, read with distrust: paths in, runs out. Raises Transient (`apify.bad_response`)."""

import json
import math
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from urllib.parse import quote

from huntaze.clients.apify.runner import ActorRun
from huntaze.pipelines.errors import Transient

AGENT = "huntaze-workers"
MICRO = 1_000_000


def unreadable() -> Transient:
    return Transient("apify.bad_response", "Apify answered in a form that is not known.")


def parse_json(body: bytes) -> Any:
    try:
        return json.loads(body)
    except ValueError as error:
        raise unreadable() from error


def parse_data(body: bytes) -> dict[str, Any]:
    found = parse_json(body)
    data = found.get("data") if isinstance(found, dict) else None
    if not isinstance(data, dict):
        raise unreadable()
    return data


def parse_list(value: object) -> list[dict[str, Any]]:
    if not isinstance(value, list) or not all(isinstance(one, dict) for one in value):
        raise unreadable()
    return value


def whole(value: object, absent: int | None) -> int:
    """A count of a header or a field. Raises Transient where there has to be one."""
    if value is None and absent is not None:
        return absent
    try:
        number = int(str(value))
    except ValueError:
        raise unreadable() from None
    if number < 0:
        raise unreadable()
    return number


def parse_run(data: Mapping[str, Any]) -> ActorRun:
    try:
        meta = data.get("meta")
        agent = str(meta.get("userAgent") or "") if isinstance(meta, dict) else ""
        usage = data.get("usageTotalUsd")
        return ActorRun(
            id=str(data["id"]),
            status=str(data["status"]),
            started_at=_time(data["startedAt"]),
            dataset_id=str(data["defaultDatasetId"]),
            input_store_id=None if data.get("defaultKeyValueStoreId") is None else str(data["defaultKeyValueStoreId"]),
            build=None if data.get("buildNumber") is None else str(data["buildNumber"]),
            cost_micro_usd=None if usage is None else math.ceil(Decimal(str(usage)) * MICRO),
            mark=agent.rpartition("run/")[2] if agent.startswith(f"{AGENT} run/") else None,
        )
    except (KeyError, ValueError, ArithmeticError) as error:
        raise unreadable() from error


def _time(value: object) -> datetime:
    when = datetime.fromisoformat(str(value))
    return when if when.tzinfo else when.replace(tzinfo=UTC)


def actor_path(name: str) -> str:
    """`owner/name` as the API's paths have it."""
    return quote(name.replace("/", "~", 1), safe="~")


def part(id: str) -> str:
    """An id that came from outside, as one part of a path: never a way up."""
    return quote(id, safe="").replace(".", "%2E")

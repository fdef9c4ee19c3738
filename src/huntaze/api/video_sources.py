"""What requests for videos have in common: which object they name, what the store has there, and who repeats one."""

import hashlib
import json
import time
import uuid
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import Header
from pydantic import BaseModel

from huntaze.api.auth import Caller
from huntaze.api.problems import ProblemError, refuse_field
from huntaze.api.schemas.videos import VideoRequest
from huntaze.api.services import LOOK_UP_WAIT_S, Services
from huntaze.clients.object_store import NoSuchObject, StorageAway
from huntaze.models.video_requests import SeenObject

LOOKING = 8  # objects of one batch that are looked at at once: less than half of what all requests may
LOOK_ALL_S = 20.0  # for all objects of a batch; a client that waits longer has mostly given up

LOCATION: dict[int | str, dict[str, Any]] = {
    202: {"headers": {"Location": {"description": "where it is seen", "schema": {"type": "string"}}}}
}

IdempotencyKey = Annotated[
    str | None,
    Header(
        pattern=r"^[!-~]{1,200}$",
        description="makes the request safe to repeat, for seven days at least: printable ASCII, 200 characters at"
        " most, new for each request",
        examples=["0f6c2f6e-5d1b-4f0e-9c44-1f8f5e7c2a10"],
    ),
]


def dedupe_key_of(caller: Caller, idempotency_key: str | None) -> str | None:
    """The key as the ledger knows it: each creator has keys of its own."""
    return None if idempotency_key is None else f"api:{caller.creator_id}:{idempotency_key}"


def fingerprint_of(body: BaseModel) -> str:
    """SHA-256 of the request as it was understood: spelling out a default makes no other request."""
    canonical = json.dumps(body.model_dump(mode="json"), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()


@dataclass(frozen=True)
class Source:
    """The object that was named, by which field."""

    field: str
    object_key: str
    name: str


def source_of(caller: Caller, body: VideoRequest, contents: Mapping[uuid.UUID, tuple[str, str]]) -> Source:
    """The object that is meant. `contents`: {id: (object key, name)} of the caller's. Raises ProblemError."""
    if (body.content_id is None) == (body.object_key is None):
        raise refuse_field(422, "request.invalid", "content_id", "Send one of content_id and object_key.")
    if body.content_id is not None:
        content = contents.get(body.content_id)
        if content is None:
            raise refuse_field(404, "content.not_found", "content_id", "There is no content with this id.")
        return Source("content_id", *content)
    key, prefix = body.object_key or "", f"creators/{caller.creator_id}/"
    # Stores that keep objects as files, and proxies before them, resolve dots and doubled slashes.
    if not key.startswith(prefix) or any(part in ("", ".", "..") for part in key.split("/")):
        message = f"Expected a key that starts with {prefix}, without empty or dotted parts."
        raise refuse_field(422, "request.invalid", "object_key", message)
    return Source("object_key", key, key.rsplit("/", 1)[-1][:255])


def look(services: Services, source: Source, wait_s: float = LOOK_UP_WAIT_S) -> SeenObject:
    """What the store has under the key. Raises ProblemError if that is nothing to look at, and StorageAway."""
    if not services.look_ups.acquire(timeout=wait_s):
        raise StorageAway("Too many requests wait for the object store; nothing was changed. Try again.")
    try:
        seen = services.objects.head(source.object_key)
    except NoSuchObject:
        message = "Nothing was uploaded there yet; upload the file first, then repeat this request."
        raise refuse_field(409, "content.not_uploaded", source.field, message) from None
    finally:
        services.look_ups.release()
    if seen.size == 0:
        raise refuse_field(422, "content.empty", source.field, "The uploaded file is empty.")
    limit = services.settings.api.max_upload_bytes
    if seen.size > limit:
        message = f"The file has {seen.size} bytes; {limit} are the most."
        raise refuse_field(422, "content.too_large", source.field, message)
    return SeenObject(source.object_key, source.name, seen.content_type[:100], seen.size, seen.etag)


def look_all(
    services: Services, sources: Sequence[Source], within_s: float = LOOK_ALL_S
) -> Mapping[str, SeenObject | ProblemError]:
    """{object key: what the store has there, or what is wrong with it}: each object is looked at once, some at a time.

    Raises StorageAway if the store cannot be reached, or is not done in time.
    """
    end = time.monotonic() + within_s

    def one(source: Source) -> SeenObject | ProblemError:
        left = end - time.monotonic()
        if left <= 0:
            raise StorageAway(f"The store took more than {within_s:g} s; nothing was changed. Send fewer at once.")
        try:
            return look(services, source, wait_s=left)
        except ProblemError as problem:
            return problem

    each = {source.object_key: source for source in sources}
    with ThreadPoolExecutor(min(LOOKING, len(each))) as pool:
        # What has not begun is given up at the first error.
        return dict(zip(each, pool.map(one, each.values()), strict=True))

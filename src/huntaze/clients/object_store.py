"""The port of the object store, its in-memory twin, and what both promise (tests/clients/test_object_store.py)."""

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Protocol
from urllib.parse import quote

from huntaze.pipelines.errors import Permanent, Transient

CHANGED = "storage.changed"
CHUNK = 1 << 20  # bytes of one piece of a stream


class NoSuchObject(Permanent):
    """There is nothing under this key."""

    def __init__(self, key: str) -> None:
        super().__init__("storage.not_found", f"There is no object {key}; upload it first.")
        self.key = key

    def __reduce__(self) -> tuple[type["NoSuchObject"], tuple[str]]:  # type: ignore[override]
        return (NoSuchObject, (self.key,))


class StorageAway(Transient):
    """The store cannot be reached, or is over its limit."""

    def __init__(self, message: str = "The object store does not answer.", retry_after: float | None = None) -> None:
        super().__init__("storage.unavailable", message, retry_after)


@dataclass(frozen=True)
class ObjectInfo:
    """What a HEAD tells. `size` in bytes; `etag` without quotes, changes whenever the bytes do."""

    key: str
    size: int
    etag: str
    content_type: str


class ObjectStore(Protocol):
    """Bytes by key. Raises NoSuchObject, StorageAway."""

    def head(self, key: str) -> ObjectInfo: ...

    def read(self, key: str) -> bytes:
        """The whole object: for our own small artifacts only."""
        ...

    def read_range(self, key: str, start: int, end: int, *, etag: str | None = None) -> bytes:
        """Bytes [start, end). With an `etag`, raises Transient `storage.changed` if the object is another by now."""
        ...

    def stream(self, key: str, *, etag: str | None = None) -> Iterator[bytes]:
        """The whole object in chunks, by one request. `etag` as in `read_range`; both may be called by many threads."""
        ...

    def put(self, key: str, body: bytes, content_type: str) -> ObjectInfo: ...

    def presign_put(self, key: str, size: int, content_type: str, expires_s: int) -> str:
        """A URL that accepts exactly `size` bytes of exactly `content_type`, for `expires_s` seconds."""
        ...

    def presign_get(self, key: str, expires_s: int) -> str: ...

    def check(self) -> None:
        """Returns if the bucket is there and may be used; raises Permanent or Transient otherwise."""
        ...


def changed(key: str) -> Transient:
    """The object was replaced while it was read."""
    return Transient(CHANGED, f"The object {key} changed while it was read.")


@dataclass
class MemoryObjectStore:
    """The twin: for tests and for trying a pipeline without a store."""

    objects: dict[str, tuple[bytes, str]] = field(default_factory=dict)
    on_read: Callable[[str, int, int], None] = lambda key, start, end: None  # noqa: ARG005 - a fault can be put here

    def head(self, key: str) -> ObjectInfo:
        body, content_type = self._get(key)
        return ObjectInfo(key, len(body), hashlib.md5(body, usedforsecurity=False).hexdigest(), content_type)

    def read(self, key: str) -> bytes:
        return self._get(key)[0]

    def read_range(self, key: str, start: int, end: int, *, etag: str | None = None) -> bytes:
        self.on_read(key, start, end)
        if etag is not None and self.head(key).etag != etag:
            raise changed(key)
        return self._get(key)[0][start:end]

    def stream(self, key: str, *, etag: str | None = None) -> Iterator[bytes]:
        size = self.head(key).size
        for start in range(0, size, CHUNK):
            yield self.read_range(key, start, min(start + CHUNK, size), etag=etag)

    def put(self, key: str, body: bytes, content_type: str) -> ObjectInfo:
        self.objects[key] = (body, content_type)
        return self.head(key)

    def presign_put(self, key: str, size: int, content_type: str, expires_s: int) -> str:
        return f"memory://put/{quote(key)}?size={size}&type={quote(content_type)}&expires={expires_s}"

    def presign_get(self, key: str, expires_s: int) -> str:
        return f"memory://get/{quote(key)}?expires={expires_s}"

    def check(self) -> None:
        return None

    def _get(self, key: str) -> tuple[bytes, str]:
        try:
            return self.objects[key]
        except KeyError:
            raise NoSuchObject(key) from None

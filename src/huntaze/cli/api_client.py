"""The API as our own commands call it, over HTTP like everybody else."""

import json
import os
import string
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import httpx

_TYPES = {
    ".3gp": "video/3gpp",
    ".avi": "video/x-msvideo",
    ".flv": "video/x-flv",
    ".m4v": "video/x-m4v",
    ".mkv": "video/x-matroska",
    ".mov": "video/quicktime",
    ".mpg": "video/mpeg",
    ".ogv": "video/ogg",
    ".ts": "video/mp2t",
    ".webm": "video/webm",
    ".wmv": "video/x-ms-wmv",
}
_CHUNK = 1 << 18
_KEY_CHARACTERS = frozenset(string.ascii_letters + string.digits + "_-")


class ApiError(Exception):
    """The API refused, or cannot be reached; the text is what it said."""

    def __init__(self, message: str, code: str = "") -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True)
class StreamEvent:
    """One event of the creator's stream."""

    position: int
    type: str
    data: dict[str, Any]


class ApiClient:
    """One creator's way to the API. Raises ApiError, whose text never holds the key."""

    def __init__(self, url: str, key: str) -> None:
        _check_key(key)
        if not url.startswith(("http://", "https://")):
            raise ApiError(f"{url} is no address of an API. Give it as http://host:port.")
        try:
            self._http = httpx.Client(
                base_url=url,
                headers={"Authorization": f"Bearer {key}"},
                timeout=httpx.Timeout(30, connect=5),
                trust_env=False,
            )
        except httpx.InvalidURL as error:
            raise ApiError(f"{url} is no address of an API: {error}. Give it as http://host:port.") from None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    def get(self, path: str) -> Any:
        return self._answer("GET", path)

    def post(self, path: str, body: dict[str, Any] | None = None, headers: dict[str, str] | None = None) -> Any:
        return self._answer("POST", path, json=body, headers=headers)

    def _answer(self, method: str, path: str, **options: Any) -> Any:
        try:
            response = self._http.request(method, path, **options)
        except httpx.HTTPError as error:
            raise ApiError(f"The API at {self._http.base_url} does not answer: {error}") from error
        if response.is_error:
            raise _refusal(response)
        try:
            return response.json()
        except ValueError:
            what = f"{self._http.base_url} answered {response.status_code}, but not as the API does"
            raise ApiError(f"{what}; is this its address?") from None

    def upload(self, path: Path, note: Callable[[int, int], None]) -> str:
        """Uploads a file through a presigned URL; returns the content id. `note(sent, size)` in bytes."""
        size = path.stat().st_size
        body = {"name": path.name, "size": size, "type": _TYPES.get(path.suffix.lower(), "video/mp4")}
        promise = self.post("/v1/uploads", body)

        def chunks() -> Iterator[bytes]:
            sent = 0
            with path.open("rb") as file:
                while chunk := file.read(_CHUNK):
                    yield chunk
                    sent += len(chunk)
                    note(sent, size)

        try:
            response = httpx.put(
                promise["url"], content=chunks(), headers=promise["headers"], timeout=300, trust_env=False
            )
        except httpx.HTTPError as error:
            raise ApiError(f"The upload of {path} broke off: {error}") from error
        if response.is_error:
            raise ApiError(f"The store refused the upload of {path}: {response.status_code}", "storage.refused")
        return str(promise["content_id"])

    def analyze(self, content_id: str, cells: int | None = None) -> dict[str, Any]:
        """Enqueues the analysis of an uploaded video."""
        body: dict[str, Any] = {"content_id": content_id}
        if cells is not None:
            body["cells"] = cells
        answer: dict[str, Any] = self.post("/v1/videos", body, {"Idempotency-Key": os.urandom(16).hex()})
        return answer

    @contextmanager
    def events(self) -> Iterator[Iterator[StreamEvent | None]]:
        """The creator's events from now on, as they come; None for a sign of life in between."""
        try:
            with self._http.stream("GET", "/v1/events", timeout=60) as response:
                if response.is_error:
                    response.read()
                    raise _refusal(response)
                yield _parse(response.iter_lines())
        except httpx.HTTPError as error:
            raise ApiError(f"The event stream broke off: {error}") from error

    def download(self, url: str, path: Path) -> None:
        """Fetches a presigned picture."""
        try:
            response = httpx.get(url, timeout=60, trust_env=False)
        except httpx.HTTPError as error:
            raise ApiError(f"The store does not answer: {error}") from error
        if response.is_error:
            raise ApiError(f"The store refused {path.name}: {response.status_code}")
        path.write_bytes(response.content)


def _parse(lines: Iterator[str]) -> Iterator[StreamEvent | None]:
    """Server-sent events (HTML standard, 9.2.6), as far as this API uses them."""
    fields: dict[str, str] = {}
    for line in lines:
        if line.startswith(":"):
            yield None
        elif line:
            name, _, value = line.partition(":")
            fields[name] = value.removeprefix(" ")
        elif "data" in fields:
            yield StreamEvent(int(fields["id"]), fields["event"], json.loads(fields["data"]))
            fields = {}


def _check_key(key: str) -> None:
    """What no key holds, told without repeating it: the text ends up in logs and on screens."""
    for wrong, what in (
        (not key, "is empty"),
        ("\n" in key or "\r" in key, "holds a line break"),
        (any(character.isspace() for character in key), "holds a space"),
        (not _KEY_CHARACTERS.issuperset(key), "holds characters that no key has"),
        (not key.startswith("hz_"), "does not begin with hz_"),
    ):
        if wrong:
            hint = "A key is one word, as huntaze keys create prints it: hz_, then letters, digits, - and _."
            raise ApiError(f"The key {what}. {hint}", "auth.invalid_key")


def _refusal(response: httpx.Response) -> ApiError:
    """What a problem document (RFC 9457) says, in one line, and once: `detail` often holds the fields' messages."""
    try:
        problem = response.json()
        text = problem.get("detail") or problem.get("title") or ""
        errors = [error for error in problem.get("errors") or [] if error["message"] not in text]
        fields = "; ".join(f"{error['field']}: {error['message']}" for error in errors)
        return ApiError(f"{text}{' ' if text and fields else ''}{fields} ({problem.get('code')})", problem.get("code"))
    except (ValueError, AttributeError, KeyError, TypeError):
        return ApiError(f"The API answered {response.status_code}.")

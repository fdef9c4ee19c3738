"""What every refusal looks like: an RFC 9457 problem document with a stable code."""

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field

MEDIA_TYPE = "application/problem+json"
RETRY_AFTER_S = 5  # what a client is told to wait where nobody knows better


class FieldError(BaseModel):
    """One thing that is wrong with the request."""

    field: str = Field(description="the field, query parameter or header; `body` for the whole")
    message: str = Field(description="what is expected")


class Problem(BaseModel):
    """An RFC 9457 problem document. Programs go by `code`, people read `detail`."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "type": "urn:huntaze:problem:request.invalid",
                    "title": "Unprocessable Content",
                    "status": 422,
                    "detail": "The request is not valid: size: Input should be greater than or equal to 1.",
                    "code": "request.invalid",
                    "errors": [{"field": "size", "message": "Input should be greater than or equal to 1"}],
                }
            ]
        }
    )

    type: str = Field(description="`urn:huntaze:problem:` and the code")
    title: str = Field(description="the status in words")
    status: int
    detail: str = Field(description="what happened here, and what to do about it")
    code: str = Field(description="stable and dotted: what programs may rely on")
    errors: list[FieldError] = Field(default=[], description="which fields are wrong, where fields are")


class ProblemError(Exception):
    """Ends a request with a problem document. `detail` is for the client: no secret, no address, no stack."""

    def __init__(
        self,
        status: int,
        code: str,
        detail: str,
        *,
        errors: Sequence[FieldError] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(f"{status} {code}: {detail}")
        self.status = status
        self.code = code
        self.detail = detail
        self.errors = list(errors)
        self.headers = dict(headers or {})


def refuse_field(status: int, code: str, field: str, message: str) -> ProblemError:
    """The refusal of one field."""
    return ProblemError(status, code, message, errors=[FieldError(field=field, message=message)])


def not_found(what: str) -> ProblemError:
    """No such row for this creator; whether another creator has it is not told. `what`: job, video, content."""
    return ProblemError(404, f"{what}.not_found", f"There is no {what} with this id.")


def problem_response(error: ProblemError) -> JSONResponse:
    """The document as a response."""
    document = Problem(
        type=f"urn:huntaze:problem:{error.code}",
        title=_title(error.status),
        status=error.status,
        detail=error.detail,
        code=error.code,
        errors=error.errors,
    )
    content = document.model_dump(mode="json")
    return JSONResponse(content, error.status, headers=error.headers, media_type=MEDIA_TYPE)


def _title(status: int) -> str:
    # Python 3.11 still has the names of RFC 7231 for these two.
    renamed = {413: "Content Too Large", 422: "Unprocessable Content"}
    return renamed.get(status) or HTTPStatus(status).phrase


_EXAMPLES: dict[int, tuple[str, str]] = {
    400: ("request.not_json", "The body is not JSON: Expecting value at character 0."),
    401: ("auth.required", "Send a key: `Authorization: Bearer hz_...`."),
    403: ("auth.scope_missing", "This key lacks the scope write."),
    404: ("job.not_found", "There is no job with this id."),
    409: ("job.not_failed", "Only a failed job can be retried; this one is succeeded."),
    413: ("request.too_large", "The body may have 65536 bytes at most."),
    422: ("request.invalid", "The request is not valid: size: Input should be greater than or equal to 1."),
    429: ("streams.too_many", "This creator has 20 streams open; close one first."),
    503: ("database.unavailable", "The database does not answer; nothing was changed. Try again."),
}


def problems(*statuses: int, **examples: tuple[str, str]) -> dict[int | str, dict[str, Any]]:
    """The error responses of a route for its OpenAPI entry: those that every route has, and `statuses`.

    `examples`: another example than the usual one, as `s409=(code, detail)`.
    """
    documented: dict[int | str, dict[str, Any]] = {}
    for status in sorted({401, 403, 422, 503, *statuses}):
        code, detail = examples.get(f"s{status}", _EXAMPLES[status])
        document = Problem(
            type=f"urn:huntaze:problem:{code}", title=_title(status), status=status, detail=detail, code=code
        )
        content = {"schema": {"$ref": "#/components/schemas/Problem"}, "example": document.model_dump(mode="json")}
        documented[status] = {"description": _title(status), "content": {MEDIA_TYPE: content}}
    return documented

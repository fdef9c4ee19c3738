"""The one table from errors to problem documents."""

import math
from collections.abc import Sequence
from typing import Any

import structlog
from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError, WebSocketRequestValidationError
from fastapi.responses import JSONResponse
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from starlette.exceptions import HTTPException
from starlette.requests import HTTPConnection

from huntaze.api.problems import RETRY_AFTER_S, FieldError, ProblemError, problem_response
from huntaze.pipelines.ai.errors import NO_DEPLOYMENT, REFUSED, UNKNOWN_PRICE
from huntaze.pipelines.errors import HuntazeError, Transient

_log = structlog.get_logger("huntaze.api")

# Every other Permanent error is the input's fault: 422.
_PERMANENT = {
    "request.key_reused": 409,
    "job.not_failed": 409,
    "job.duplicate": 409,
    "storage.not_found": 409,
    "webhook.too_many": 409,
    "webhook.under_way": 409,
    **dict.fromkeys(
        (
            f"offer.{what}"
            for what in ("not_allowed", "code_taken", "not_active", "exhausted", "once_a_fan", "not_for_fan")
        ),
        409,
    ),
}

# The fleet's models are set up wrongly: as with the store, for operators to mend.
_AI_NOT_SET_UP = (REFUSED, NO_DEPLOYMENT, UNKNOWN_PRICE)

_HTTP = {
    400: ("request.malformed", "The request cannot be read."),
    404: ("route.not_found", "There is nothing at this address; see /docs."),
    405: ("route.method_not_allowed", "This address does not take this method; see the Allow header."),
    413: ("request.too_large", "The body is too large."),
}

UNEXPECTED = ProblemError(500, "internal", "Something went wrong here; it has been noted. Try again.")


def install(app: FastAPI) -> None:
    """Registers the table. What is not in it ends in `edge.Edge`, as a 500 without internals."""
    app.add_exception_handler(RequestValidationError, _on_invalid)
    app.add_exception_handler(WebSocketRequestValidationError, _on_invalid)
    app.add_exception_handler(OperationalError, _on_database)
    app.add_exception_handler(InterfaceError, _on_database)
    app.add_exception_handler(PoolTimeout, _on_database)
    app.add_exception_handler(DBAPIError, _on_database_maybe)
    app.add_exception_handler(HuntazeError, _on_foreseen)
    app.add_exception_handler(ProblemError, _on_problem)
    app.add_exception_handler(HTTPException, _on_http)


async def _on_problem(_: HTTPConnection, error: Exception) -> JSONResponse:
    assert isinstance(error, ProblemError)
    return problem_response(error)


async def _on_foreseen(_: HTTPConnection, error: Exception) -> JSONResponse:
    assert isinstance(error, HuntazeError)
    return problem_response(translate(error))


def translate(error: HuntazeError) -> ProblemError:
    """A foreseen error as the client is told of it."""
    if isinstance(error, Transient):
        wait = RETRY_AFTER_S if error.retry_after is None else math.ceil(error.retry_after)
        return ProblemError(503, error.code, error.message, headers={"Retry-After": str(wait)})
    status = _PERMANENT.get(error.code)
    if status is None and error.code.startswith("storage."):
        # A missing bucket or refused credentials: for operators to mend, and none of the client's business.
        _log.error("storage.unusable", code=error.code, message=error.message)
        return unavailable("storage.unavailable", "The object store cannot be used now.")
    if error.code in _AI_NOT_SET_UP:
        _log.error("ai.unusable", code=error.code, message=error.message)
        return unavailable("ai.unavailable", "No model can be asked now.")
    return ProblemError(status or 422, error.code, error.message)


def unavailable(code: str, detail: str) -> ProblemError:
    """A store is away: the same request may well do later."""
    return ProblemError(503, code, detail, headers={"Retry-After": str(RETRY_AFTER_S)})


async def _on_database(_: HTTPConnection, error: Exception) -> JSONResponse:
    # Only the kind of error is logged: the message of a failed connection names host and user.
    _log.error("database.unavailable", error=type(error).__name__, code=getattr(error, "code", None))
    detail = "The database does not answer; nothing was changed. Try again."
    return problem_response(unavailable("database.unavailable", detail))


async def _on_database_maybe(connection: HTTPConnection, error: Exception) -> JSONResponse:
    assert isinstance(error, DBAPIError)
    if error.connection_invalidated:
        return await _on_database(connection, error)
    raise error


async def _on_http(_: HTTPConnection, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    code, detail = _HTTP.get(error.status_code, ("request.refused", str(error.detail)))
    return problem_response(ProblemError(error.status_code, code, detail, headers=error.headers))


async def _on_invalid(_: HTTPConnection, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError | WebSocketRequestValidationError)
    found: Sequence[Any] = error.errors()
    if found and found[0]["type"] == "json_invalid":
        reason = found[0].get("ctx", {}).get("error", "")
        detail = f"The body is not JSON: {reason} at character {found[0]['loc'][-1]}."
        return problem_response(ProblemError(400, "request.not_json", detail))
    errors = [_field_error(one) for one in found[:20]]
    detail = "The request is not valid: " + "; ".join(f"{one.field}: {one.message}" for one in errors) + "."
    return problem_response(ProblemError(422, "request.invalid", detail, errors=errors))


def _field_error(error: dict[str, Any]) -> FieldError:
    """One complaint of pydantic. What the client sent is not repeated: it may be long, and it is known."""
    where, *path = error["loc"]
    # As a person would write it: `videos[17].object_key`.
    name = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)[:100].lstrip(".") or where
    if where == "header":
        name = "-".join(word.capitalize() for word in name.replace("_", "-").split("-"))
    message = str(error["msg"]).removeprefix("Value error, ")
    if error["type"] == "extra_forbidden":
        message = "There is no such field"
    elif error["type"] == "model_attributes_type":
        message = "Expected a JSON object, sent as Content-Type: application/json"
    return FieldError(field=name, message=message)

"""Who asks, and for whom.

A creator's key acts for its creator. A service's key (no user, scope `act_for`) acts for the creator that the request
names in `X-Creator-Id`. Keys are accepted in the `Authorization` header only: they are long-lived and belong on
servers, so neither a query parameter nor a WebSocket subprotocol, which end up in logs, takes one.
"""

import uuid
from dataclasses import dataclass, field
from typing import Annotated

from fastapi import Depends, Header
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from sqlalchemy.orm import Session

from huntaze.api.problems import ProblemError, refuse_field
from huntaze.api.services import Services, ServicesOf
from huntaze.models import analytics_facts, user_store
from huntaze.models.user_store import Identity
from huntaze.models.users import Scope

_BEARER = HTTPBearer(
    scheme_name="ApiKey",
    bearerFormat="hz_...",
    description="A key from `huntaze keys`. Service keys name the creator they act for in `X-Creator-Id`.",
    auto_error=False,
)
_CHALLENGE = 'Bearer realm="huntaze"'
MAX_KEY_CHARS = 256


@dataclass(frozen=True)
class Caller:
    """A creator, or a service that acts for one. `secret` is for asking again while a stream is open."""

    creator_id: uuid.UUID
    secret: str = field(repr=False)


def is_live(services: Services, caller: Caller) -> bool:
    """Whether the caller's key still opens the door: it may have expired or been revoked."""
    with services.statements() as session:
        return user_store.authenticate(session, caller.secret) is not None


class _Require:
    """A dependency: the caller, if the key has the scope."""

    def __init__(self, scope: Scope) -> None:
        self.scope = scope

    def __call__(
        self,
        services: ServicesOf,
        credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(_BEARER)],
        x_creator_id: Annotated[
            str | None,
            Header(description="the creator that a service's key acts for", json_schema_extra={"format": "uuid"}),
        ] = None,
    ) -> Caller:
        if credentials is None:
            raise _unauthorized("auth.required", "Send a key: `Authorization: Bearer hz_...`.")
        secret = credentials.credentials
        # Not printable ASCII is no key, and PostgreSQL would not even take it as a parameter.
        plausible = len(secret) <= MAX_KEY_CHARS and secret.isascii() and secret.isprintable()
        with services.statements() as session:
            identity = user_store.authenticate(session, secret) if plausible else None
            if identity is None:
                raise _unauthorized("auth.invalid_key", "This key is wrong, expired or revoked.", "invalid_token")
            # Figures of all creators together are nobody's: whoever may read them acts for none.
            whole = self.scope is Scope.PLATFORM
            creator_id = analytics_facts.PLATFORM if whole else _creator(session, identity, x_creator_id)
        if self.scope not in identity.scopes:
            raise _forbidden("auth.scope_missing", f"This key lacks the scope {self.scope.value}.", self.scope)
        return Caller(creator_id, secret)


def _creator(session: Session, identity: Identity, named: str | None) -> uuid.UUID:
    try:
        creator_id = None if named is None else uuid.UUID(named)
    except ValueError:
        raise refuse_field(422, "request.invalid", "X-Creator-Id", "This is not a UUID.") from None
    if identity.user_id is not None:
        # A creator's key that names somebody else is a mistake; ignoring it would write into the wrong account.
        if creator_id not in (None, identity.user_id):
            raise _forbidden("auth.not_a_service", "This key acts for its own creator only.", Scope.ACT_FOR)
        return identity.user_id
    if Scope.ACT_FOR not in identity.scopes:
        raise _forbidden("auth.scope_missing", "This key lacks the scope act_for.", Scope.ACT_FOR)
    if creator_id is None:
        message = "A service's key names the creator it acts for in X-Creator-Id."
        raise refuse_field(422, "auth.creator_missing", "X-Creator-Id", message)
    if not user_store.user_exists(session, creator_id):
        raise refuse_field(404, "creator.not_found", "X-Creator-Id", "There is no creator with this id.")
    return creator_id


def _unauthorized(code: str, detail: str, error: str | None = None) -> ProblemError:
    challenge = _CHALLENGE if error is None else f'{_CHALLENGE}, error="{error}"'
    return ProblemError(401, code, detail, headers={"WWW-Authenticate": challenge})


def _forbidden(code: str, detail: str, scope: Scope) -> ProblemError:
    challenge = f'{_CHALLENGE}, error="insufficient_scope", scope="{scope.value}"'
    return ProblemError(403, code, detail, headers={"WWW-Authenticate": challenge})


Reader = Annotated[Caller, Depends(_Require(Scope.READ))]
Writer = Annotated[Caller, Depends(_Require(Scope.WRITE))]
Operator = Annotated[Caller, Depends(_Require(Scope.PLATFORM))]

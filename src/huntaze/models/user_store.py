"""All SQL of creators and keys."""

import hashlib
import hmac
import secrets
import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from huntaze.models.base import new_id
from huntaze.models.users import ApiKey, Scope, User

_MARK = "hz"  # lets secret scanners recognise a leaked key


@dataclass(frozen=True)
class Identity:
    """Who a key speaks for. `user_id` is None for a service key, which names its creator with each request."""

    key_id: uuid.UUID
    user_id: uuid.UUID | None
    scopes: frozenset[Scope]


def ensure_user(session: Session, handle: str, *, time_zone: str = "UTC", plan: str = "free") -> User:
    """The creator with this handle, made if there is none."""
    session.execute(
        insert(User)
        .values(id=new_id(), handle=handle, time_zone=time_zone, plan=plan)
        .on_conflict_do_nothing(index_elements=[User.handle])
    )
    return session.scalars(select(User).where(User.handle == handle)).one()


_EXISTS = text("SELECT EXISTS (SELECT FROM users WHERE id = :id)")


def user_exists(session: Session, user_id: uuid.UUID) -> bool:
    """Whether there is such a creator."""
    return bool(session.execute(_EXISTS, {"id": user_id}).scalar_one())


def find_user(session: Session, named: str) -> uuid.UUID | None:
    """The creator with this handle, or else with this id."""
    found = session.scalars(select(User.id).where(User.handle == named)).one_or_none()
    try:
        return found or session.scalars(select(User.id).where(User.id == uuid.UUID(named))).one_or_none()
    except ValueError:
        return None


def create_key(
    session: Session,
    user_id: uuid.UUID | None,
    name: str,
    scopes: Iterable[Scope] = (Scope.READ, Scope.WRITE),
    expires_at: datetime | None = None,
) -> tuple[ApiKey, str]:
    """Makes a key; the second value is the secret, which is shown once and not kept."""
    prefix = secrets.token_hex(4)
    secret = f"{_MARK}_{prefix}_{secrets.token_urlsafe(24)}"
    key = ApiKey(
        user_id=user_id,
        name=name,
        prefix=prefix,
        hash=_digest(secret),
        scopes=sorted(set(scopes)),
        expires_at=expires_at,
    )
    session.add(key)
    session.flush()
    return key, secret


def _digest(secret: str) -> bytes:
    return hashlib.sha256(secret.encode()).digest()


# Asked before every request: plain rows, as an object of each would cost more than the look-up.
_LIVE_KEY = text("""
    SELECT id, user_id, hash, scopes FROM api_keys
    WHERE prefix = :prefix AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > clock_timestamp())
""")


def authenticate(session: Session, secret: str) -> Identity | None:
    """Who this key speaks for; None for a key that is wrong, expired or revoked."""
    parts = secret.split("_", 2)
    if len(parts) != 3 or parts[0] != _MARK:
        return None
    key = session.execute(_LIVE_KEY, {"prefix": parts[1]}).one_or_none()
    if key is None or not hmac.compare_digest(key.hash, _digest(secret)):
        return None
    return Identity(key.id, key.user_id, frozenset(Scope(scope) for scope in key.scopes))


def list_keys(session: Session) -> list[tuple[ApiKey, str | None]]:
    """All keys with their owner's handle, newest first."""
    query = select(ApiKey, User.handle).outerjoin(User, User.id == ApiKey.user_id).order_by(ApiKey.id.desc())
    return [(row[0], row[1]) for row in session.execute(query)]


def revoke_key(session: Session, prefix: str) -> bool:
    """Ends a key now. False: no such key, or it was revoked before."""
    statement = update(ApiKey).where(ApiKey.prefix == prefix, ApiKey.revoked_at.is_(None)).values(revoked_at=func.now())
    return bool(session.execute(statement.returning(ApiKey.id)).all())

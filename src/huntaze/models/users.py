"""Creators and the keys that act for them."""

import enum
import uuid
from datetime import datetime

from sqlalchemy import ForeignKey, String, func
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, mapped_column

from huntaze.models.base import Base, new_id


class Scope(enum.StrEnum):
    """What a key may do."""

    READ = "read"  # every GET of its creator's rows
    WRITE = "write"  # uploads, enqueueing, cancel and retry
    PLATFORM = "platform"  # figures of the platform as a whole, of all creators together
    ACT_FOR = "act_for"  # a service's key: names the creator it acts for in the X-Creator-Id header


class User(Base):
    """A creator: the owner of everything else."""

    __tablename__ = "users"

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=new_id)
    handle: Mapped[str] = mapped_column(String(64), unique=True)
    time_zone: Mapped[str] = mapped_column(String(64), default="UTC")  # IANA name, for days and periods
    plan: Mapped[str] = mapped_column(String(32), default="free")
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())


class ApiKey(Base):
    """A bearer key. Only its hash is kept: a read of this table opens no door."""

    __tablename__ = "api_keys"

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=new_id)
    # None: a service's key, which owns nothing and must carry Scope.ACT_FOR.
    user_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), index=True)
    name: Mapped[str] = mapped_column(String(100))
    prefix: Mapped[str] = mapped_column(String(16), unique=True)  # shown in lists, finds the row
    hash: Mapped[bytes]  # SHA-256 of the whole key; 192 random bits need no slow hash
    scopes: Mapped[list[str]] = mapped_column(ARRAY(String(32)))
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    expires_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]

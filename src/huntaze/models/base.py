"""What every table shares: naming, column types, identity."""

import uuid
from datetime import datetime
from typing import Any

import uuid_utils.compat
from sqlalchemy import MetaData, Uuid
from sqlalchemy.dialects.postgresql import JSONB, TIMESTAMP
from sqlalchemy.orm import DeclarativeBase

# Names are fixed so that migrations can refer to them and an error can be traced to its rule.
NAMING = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}


class Base(DeclarativeBase):
    """Declarative base: aware timestamps, JSONB for JSON, native UUIDs."""

    metadata = MetaData(naming_convention=NAMING)
    type_annotation_map = {  # noqa: RUF012 - SQLAlchemy reads it from the class
        datetime: TIMESTAMP(timezone=True),
        dict[str, Any]: JSONB,
        list[dict[str, Any]]: JSONB,
        uuid.UUID: Uuid(as_uuid=True),
    }


def new_id() -> uuid.UUID:
    """A UUIDv7 (RFC 9562): its order is the order of creation, so indexes grow at one end."""
    return uuid_utils.compat.uuid7()

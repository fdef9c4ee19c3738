"""The processes of the fleet, as they last spoke."""

import uuid
from datetime import datetime
from typing import Any

from sqlalchemy import String, func
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, mapped_column

from huntaze.models.base import Base, new_id


class Node(Base):
    """A process that is, or was, there. A heartbeat row is the liveness probe: asking Celery takes seconds."""

    __tablename__ = "nodes"

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=new_id)
    name: Mapped[str] = mapped_column(String(255), unique=True)
    process: Mapped[str] = mapped_column(String(32))  # worker, dispatcher, beat
    queues: Mapped[list[str]] = mapped_column(ARRAY(String(32)))  # what a worker serves
    slots: Mapped[int] = mapped_column(default=0, server_default="0")  # how many jobs it runs at once
    # {kind: newest version of its arguments} that it can run: old and new code may be there side by side.
    kinds: Mapped[dict[str, Any]] = mapped_column(default=dict, server_default="{}")
    started_at: Mapped[datetime] = mapped_column(server_default=func.now())
    seen_at: Mapped[datetime] = mapped_column(server_default=func.now())

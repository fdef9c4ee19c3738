"""The clock's memory."""

from datetime import datetime

from sqlalchemy import String
from sqlalchemy.orm import Mapped, mapped_column

from huntaze.models.base import Base


class PeriodicEntry(Base):
    """The last slot for which an entry of `beat_schedule.py` has got its job."""

    __tablename__ = "periodic_entries"

    entry: Mapped[str] = mapped_column(String(64), primary_key=True)
    last_slot: Mapped[datetime]

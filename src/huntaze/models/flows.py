"""What holds jobs back: pauses by operators, rates by policy."""

from datetime import datetime

from sqlalchemy import CheckConstraint, String, func
from sqlalchemy.orm import Mapped, mapped_column

from huntaze.models.base import Base


class Pause(Base):
    """A queue or a kind of which nothing is sent until an operator resumes it. What runs goes on."""

    __tablename__ = "pauses"
    __table_args__ = (CheckConstraint("scope IN ('queue', 'kind')", name="scope_known"),)

    scope: Mapped[str] = mapped_column(String(8), primary_key=True)
    name: Mapped[str] = mapped_column(String(64), primary_key=True)
    since: Mapped[datetime] = mapped_column(server_default=func.now())


class FlowRate(Base):
    """The rate limit of one flow key in one kind, by the generic cell rate algorithm (ITU-T I.371): `arrival` is the
    theoretical arrival time, which each start moves on by period / count."""

    __tablename__ = "flow_rates"

    kind: Mapped[str] = mapped_column(String(64), primary_key=True)
    flow_key: Mapped[str] = mapped_column(String(64), primary_key=True)
    arrival: Mapped[datetime]

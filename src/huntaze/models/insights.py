"""What creators were told of their own figures."""

import uuid
from datetime import datetime
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, Index, String, func
from sqlalchemy.orm import Mapped, mapped_column

from huntaze.models.base import Base, new_id


class InsightSet(Base):
    """One answer about one state of a creator's figures. None is written while the figures stay as they are."""

    __tablename__ = "ai_insights"
    __table_args__ = (
        CheckConstraint("dropped >= 0", name="dropped_not_negative"),
        Index(None, "creator_id", "id"),
        Index(None, "creator_id", "figures_key"),
    )

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=new_id)
    creator_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    figures_key: Mapped[str] = mapped_column(String(64))  # of the figures and of the prompt that they were put into
    figures_until: Mapped[datetime]  # the end of the days that the figures are of
    figures: Mapped[list[dict[str, Any]]]  # [{name, value, unit, about}], all that the model was shown
    insights: Mapped[list[dict[str, Any]]]  # as checked; empty where nothing was worth telling, or nothing held
    dropped: Mapped[int]  # insights of the answer that the figures did not bear out
    usage: Mapped[dict[str, Any]]  # {model, sandbox, prompt_version, calls, input_tokens, ..., reused_from}
    created_at: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp())

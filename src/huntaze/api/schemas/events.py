"""Shape of an event on a stream."""

import uuid
from datetime import datetime
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field

from huntaze.models.events import Event


class EventView(BaseModel):
    """A fact. The same on SSE (as `data`) and on the WebSocket (as a text message)."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "position": 1042,
                    "type": "video.analyzed",
                    "subject_id": "01980a52-03c7-7d02-a1b5-52d1c0e8f3aa",
                    "created_at": "2026-11-02T10:30:05Z",
                    "data": {"video_id": "01980a52-03c7-7d02-a1b5-52d1c0e8f3aa", "summary": "Two people walk."},
                }
            ]
        }
    )

    position: int = Field(description="its place in the stream; ascending, with gaps where other creators' events are")
    type: str = Field(
        description="noun.verb: `job.running`, `job.progress`, `job.failed`, `video.analyzed`, `batch.ended`, ..."
    )
    subject_id: uuid.UUID | None = Field(description="what it tells of: a job, a video or a batch")
    created_at: datetime | None
    data: dict[str, Any]

    @classmethod
    def of(cls, event: Event) -> Self:
        shown = ("position", "type", "subject_id", "created_at", "data")
        return cls.model_validate({name: getattr(event, name) for name in shown})

    @classmethod
    def opening(cls, position: int) -> Self:
        """What a WebSocket says first: where it starts, for a client that is cut off before the first event."""
        return cls(position=position, type="stream.opened", subject_id=None, created_at=None, data={})

    @classmethod
    def gap(cls, position: int, gone_upto: int) -> Self:
        """What a stream says that was asked to resume before the oldest event that is kept."""
        data = {"after": position, "gone_upto": gone_upto}
        return cls(position=position, type="stream.gap", subject_id=None, created_at=None, data=data)

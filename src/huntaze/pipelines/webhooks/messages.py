"""What a webhook says: the body, by Standard Webhooks' shape (type, timestamp, data) with our position beside it."""

import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any


@dataclass(frozen=True)
class Message:
    """An event as it is told. The same event makes the same bytes, however often it is sent."""

    id: uuid.UUID
    type: str
    creator_id: uuid.UUID
    subject_id: uuid.UUID
    position: int
    at: datetime
    data: Mapping[str, Any]

    def body(self) -> bytes:
        """UTF-8 JSON without blanks."""
        content = {
            "type": self.type,
            "timestamp": self.at.astimezone(UTC).isoformat().replace("+00:00", "Z"),
            "position": self.position,
            "creator_id": str(self.creator_id),
            "subject_id": str(self.subject_id),
            "data": self.data,
        }
        return json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode()

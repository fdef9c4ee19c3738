"""What the shapes share."""

import unicodedata
import uuid
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints


class Body(BaseModel):
    """A request's body. A field that is not known is a mistake, never noise."""

    model_config = ConfigDict(frozen=True, extra="forbid")


def _printable(value: str) -> str:
    # Cc: control characters, NUL among them, which PostgreSQL cannot store; Cs: halves of surrogate pairs.
    if any(unicodedata.category(character) in ("Cc", "Cs") for character in value):
        raise ValueError("Control characters are not allowed")
    return value


PrintableText = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1), AfterValidator(_printable)]


class ErrorView(BaseModel):
    """Why something failed. `code` is stable; `message` is a sentence for people."""

    code: str = Field(examples=["media.no_video"])
    message: str | None = Field(examples=["The file has no video stream."])


Cursor = Annotated[uuid.UUID, Field(description="`next_cursor` of the page before")]

"""Server-sent events, as far as models' servers use them: the data of each event, up to `[DONE]`."""

from collections.abc import Iterable, Iterator
from typing import Final

_EVENT_BYTES: Final = 1 << 20
_DONE: Final = "[DONE]"


class TooLong(ValueError):
    """More than an answer can be."""


def data_of(chunks: Iterable[bytes]) -> Iterator[str]:
    """The data of each event, out of chunks that may be cut anywhere; it ends with `[DONE]` or with the chunks.

    Comments and other fields are passed over (WHATWG HTML, server-sent events). Raises TooLong.
    """
    held, data = b"", list[str]()
    for chunk in chunks:
        held += chunk
        if len(held) > _EVENT_BYTES:
            raise TooLong
        *lines, held = held.replace(b"\r\n", b"\n").split(b"\n")
        for line in lines:
            if line.startswith(b"data:"):
                data.append(line[5:].removeprefix(b" ").decode("utf-8", "replace"))
            elif not line.strip() and data:
                event, data = "\n".join(data), []
                if event == _DONE:
                    return
                yield event
    if data:  # a server that ends without the blank line
        yield from (event for event in ["\n".join(data)] if event != _DONE)

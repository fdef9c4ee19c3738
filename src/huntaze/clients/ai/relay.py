"""From a call that pushes pieces to a reader that pulls them."""

import contextvars
import queue
import threading
from collections.abc import Callable, Iterator

from huntaze.pipelines.ai.calls import ChatReply

Show = Callable[[str], None]


class Relay:
    """Runs `ask` in a thread of its own. A reader that leaves does not stop it: the answer is paid, others may wait for
    it, and it is kept for the next who asks."""

    def __init__(self, ask: Callable[[Show], ChatReply]) -> None:
        self._ask = ask
        self._pieces: queue.SimpleQueue[str | ChatReply | BaseException] = queue.SimpleQueue()

    def pieces(self) -> Iterator[str | ChatReply]:
        """What `ask` shows, then what it returns. Raises what it raises."""
        context = contextvars.copy_context()  # the log's context, and the span
        threading.Thread(target=context.run, args=(self._run,), name="ai-stream", daemon=True).start()
        while True:
            piece = self._pieces.get()
            if isinstance(piece, BaseException):
                raise piece
            yield piece
            if isinstance(piece, ChatReply):
                return

    def _run(self) -> None:
        try:
            self._pieces.put(self._ask(self._pieces.put))
        except BaseException as error:
            self._pieces.put(error)

"""One call at once for each key, among the threads of this process."""

import threading
from collections.abc import Callable


class Flight:
    """Safe to share between threads."""

    def __init__(self) -> None:
        self._lock = threading.Condition()
        self._made: dict[str, list[str | None]] = {}  # by key: where the answer of the call under way will lie

    def once(self, key: str, call: Callable[[], str]) -> str:
        """What `call` returns, whoever made it. What it raises goes to who made it, and the next one tries."""
        with self._lock:
            while (made := self._made.get(key)) is not None:
                self._lock.wait_for(lambda made=made, key=key: self._made.get(key) is not made)  # type: ignore[misc]
                if made[0] is not None:
                    return made[0]
            box: list[str | None] = [None]
            self._made[key] = box
        try:
            answer = box[0] = call()
            return answer
        finally:
            with self._lock:
                del self._made[key]
                self._lock.notify_all()

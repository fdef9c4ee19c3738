"""The one error tree. It lives on the lowest floor so that the domain can raise what every door must understand.

Whoever raises says what is wrong and what to do about it; whoever catches decides by type alone:
`Permanent` is never retried, `Transient` is retried at `run_at`, anything else is a bug, retried and then shelved.
"""


class HuntazeError(Exception):
    """A failure that somebody foresaw.

    `code` is stable, dotted and meant for programs (`media.no_video`); `message` is a sentence for people that
    holds no secret, no stack and no address of ours. `detail`, where there is one, is for operators' eyes alone: it is
    kept with the attempt and shown to no creator.
    """

    detail: str | None = None

    def __init__(self, code: str, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message

    def __reduce__(self) -> tuple[type["HuntazeError"], tuple[str, str]]:
        return (type(self), (self.code, self.message))


class Permanent(HuntazeError):
    """Trying again cannot help: the input is at fault, or the world has moved on."""


class Transient(HuntazeError):
    """Somebody else's trouble: a vendor or a store that is away, slow or over its limit.

    `retry_after` is in seconds, as the other side asked; None leaves the delay to the kind's backoff.
    """

    def __init__(self, code: str, message: str, retry_after: float | None = None) -> None:
        super().__init__(code, message)
        self.retry_after = retry_after

    def __reduce__(self) -> tuple[type["Transient"], tuple[str, str, float | None]]:  # type: ignore[override]
        return (type(self), (self.code, self.message, self.retry_after))

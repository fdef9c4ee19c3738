"""How a stand-in for a model is told to misbehave: behind its name, as in `sandbox-vision+latency=200+think`.

The sandbox (HTTP) and the in-memory wire read the same words, so that one suite of behaviour runs over both.

    latency=MS      waits before it answers            think           thinks aloud first
    slow=MS         waits before each streamed piece   think_open      the same, opened by the template
    STATUS          400 to 599, or 302                 cut             breaks off at max_tokens
    429=MS          asks to wait so long               no_usage        does not say what is to be paid
    times=N         only the first N calls misbehave   not_json        200, and no JSON
    prompt_filter   the provider refuses the prompt    bad_answer      an answer that is not what was asked for
    output_filter   the provider withholds the answer  drop            the connection ends in the middle
                                                       hang            no answer, for a minute
"""

from typing import Final

_TIMES: Final = {"latency", "slow", "times"}
_TROUBLES: Final = {"prompt_filter", "output_filter", "not_json", "bad_answer", "drop", "hang"}
_KNOWN: Final = _TIMES | _TROUBLES | {"think", "think_open", "cut", "no_usage"}
THOUGHT: Final = "SANDBOX thoughts: {} is no JSON that anybody asked for."
HANG_S: Final = 60.0


def switches_of(model: str) -> dict[str, str]:
    """The switches of a model's name. Raises ValueError for one that there is not: a typo would look like health."""
    found = {}
    for part in model.split("+")[1:]:
        name, _, value = part.partition("=")
        if name not in _KNOWN and not (name == "302" or (name.isdecimal() and 400 <= int(name) <= 599)):
            raise ValueError(f"there is no switch {name!r}")
        found[name] = value
    return found


def status_of(switches: dict[str, str]) -> int | None:
    """The HTTP status that is asked for, if one is."""
    return next((int(name) for name in switches if name.isdecimal()), None)


def aloud(text: str, switches: dict[str, str]) -> str:
    """The answer with its thoughts, as far as they are switched on."""
    if "think" in switches:
        return f"<think>\n{THOUGHT}\n</think>\n\n{text}"
    return f"{THOUGHT}\n</think>\n\n{text}" if "think_open" in switches else text


class Calls:
    """Counts the calls of each model, for `times`."""

    def __init__(self) -> None:
        self._made: dict[str, int] = {}

    def in_force(self, model: str) -> dict[str, str]:
        """The switches that hold for this call. Raises ValueError."""
        switches = switches_of(model)
        times = switches.pop("times", None)
        self._made[model] = self._made.get(model, 0) + 1
        return {} if times is not None and self._made[model] > int(times) else switches

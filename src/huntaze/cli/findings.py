"""What a check of `huntaze doctor` found."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Finding:
    """One check. `fix` says what to do where it is not `ok`; a `warning` is no reason to stop."""

    check: str
    ok: bool
    detail: str
    fix: str = ""
    warning: bool = False

"""`python -m tests.acceptance.entry worker|dispatcher|beat`: a process of the fleet that also knows the tests' kinds.

The environment may give it a wrong clock (`wrong_clock.SKEW`), or make it one of the old deploy (`kinds.DEPLOY`).
"""

import sys

from huntaze.models.job_kinds import KINDS
from huntaze.tasks.registry import job
from huntaze.worker import __main__ as door
from tests.acceptance import kinds
from tests.chaos import wrong_clock


def main() -> int:
    """Returns the process's exit code."""
    wrong_clock.shift_as_told()
    KINDS.update(kinds.known())
    for kind in kinds.known().values():
        job(kind.args)(kinds.HANDLERS.get(kind.args, kinds.done))
    return door.main()


if __name__ == "__main__":
    sys.exit(main())

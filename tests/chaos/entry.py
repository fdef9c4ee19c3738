"""`python -m tests.chaos.entry worker|dispatcher|beat`: a process of the fleet that also knows the trial's kinds."""

import sys

from huntaze.worker.__main__ import main
from tests.chaos import kinds

if __name__ == "__main__":
    assert kinds.EFFECTS
    sys.exit(main())

"""The short trial: the same fleet and the same checks as `make chaos`, few jobs, and faults that pass quickly."""

import json
import subprocess
import sys
from pathlib import Path

from tests.chaos.nursery import ROOT

# What needs a timeout of 20 s to be noticed (a half-open connection to PostgreSQL) is left to `make chaos`.
_FAULTS = (
    "kill child,kill main,kill dispatcher,stop node,freeze child,flush valkey,restart valkey,crash postgres,"
    "restart postgres,cut valkey,cut postgres,stall valkey"
)


def test_whatever_is_killed_nothing_is_lost_or_doubled(tmp_path: Path) -> None:
    """In a process of its own: the trial's job kinds are to be known there and nowhere else."""
    argv = ["--jobs", "150", "--seed", "17", "--minutes", "0.17", "--every", "0.8", "--faults", _FAULTS]
    done = subprocess.run(
        [sys.executable, "-m", "tests.chaos", *argv, "--json", "--folder", str(tmp_path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    outcome = json.loads(done.stdout.splitlines()[-1])
    assert (outcome["jobs"], outcome["lost"], outcome["doubled"], outcome["stuck"]) == (150, 0, 0, 0)
    assert sum(outcome["faults"].values()) >= 8
    assert all(outcome[done] for done in ("invoices", "payments", "deliveries", "ai_refused")), "nothing was tried"
    wrong = ("double_charges", "gaps", "audit_differences", "deliveries_lost", "out_of_order", "overspent_micro_usd")
    assert not any(outcome[name] for name in wrong)

"""A real fleet, thousands of jobs, and everything around it killed, frozen, flushed or cut: nothing lost or doubled.

    make chaos JOBS=10000 SEED=7 MINUTES=10

`plan.py` draws jobs and faults from the seed, `trial.py` runs them, `checks.py` says what must hold afterwards.
Beside jobs of the trial's own kinds (`kinds.py`) the product's billing, webhooks and AI budget are at work
(`domains.py`), against an outside world (`outside.py`) that no fault reaches: it knows what was charged, told and
asked.
"""

"""A real fleet, thousands of jobs, and everything around it killed, frozen, flushed or cut: nothing lost or doubled.

    make chaos JOBS=10000 SEED=7 MINUTES=10

`plan.py` draws jobs and faults from the seed, `trial.py` runs them, `checks.py` says what must hold afterwards.
"""

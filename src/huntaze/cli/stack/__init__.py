"""The embedded local stack: the stores from wheels, and the supervisor that keeps and stops them.

Linux only: it leans on process sessions, PR_SET_PDEATHSIG, child subreapers and pidfds.
"""

"""Which trends a creator should hear of, and why."""

"""The same nothing, run by others: what the engine is measured against."""

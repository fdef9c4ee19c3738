"""Figures: which metrics there are, what a fact is, buckets and days, and the sketches of large ones."""

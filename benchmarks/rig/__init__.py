"""How all benchmarks measure: one report, real processes on embedded stores, one load generator."""

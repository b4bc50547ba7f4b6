"""The benchmark suite: one file a benchmark; each prints a table and writes JSON and a plot."""

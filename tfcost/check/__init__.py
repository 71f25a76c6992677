"""Derived against measured: evidence and book in; cells, summaries, growth and verdicts out. No torch, no GPU."""

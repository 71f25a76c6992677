"""Recorded measurements: what they hold, and reading and writing them."""

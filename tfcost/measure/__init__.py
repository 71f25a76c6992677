"""Runs techniques on a GPU and records what happened. Importing a module of this package needs no torch."""

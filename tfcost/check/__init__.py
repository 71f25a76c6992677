"""Did the cost change: contracts, drift from the lock file, and agreement with evidence, of the targets of a file."""

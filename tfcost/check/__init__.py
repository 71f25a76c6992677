"""Do formulas hold, and did they change: evidence against the book, targets against contracts and a lock file."""

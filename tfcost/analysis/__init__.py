"""What derived costs mean: classes under regimes, dominant terms, crossovers, predictions, whole models."""

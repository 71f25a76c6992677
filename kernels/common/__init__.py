"""What several kernels and their launchers share: checks, layouts, tiles, autograd, and device functions."""

"""Derives costs: runs torch code on symbolic sizes and reads the compiler's IR of the Triton kernels it launches."""

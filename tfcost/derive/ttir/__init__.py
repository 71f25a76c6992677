"""Reads Triton's own IR (TTIR) of a kernel, as text, and derives what one launch of it costs."""

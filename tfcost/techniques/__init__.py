"""The techniques: one file each, which says what is computed and never what it costs."""

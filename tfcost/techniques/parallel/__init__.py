"""Techniques that split one model or one batch over several GPUs: what one of them computes, keeps and exchanges."""

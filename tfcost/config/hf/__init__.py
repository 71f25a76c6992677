"""Hugging Face's config.json, as downloaded, to the fields of a `ModelConfig`: one small module per kind of model."""

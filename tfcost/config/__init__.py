"""Model configurations: YAML files that a person writes, checked and turned into a `ModelConfig`."""

"""The device table: one YAML file per device, every figure with its source."""

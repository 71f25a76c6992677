"""The JSON Schema of model configurations, for editors: `configs/schema.json` is its committed text."""

import json

from tfcost.config.model import ModelConfig


def schema_text() -> str:
    """The JSON Schema of a configuration file, as text; the same on every machine."""
    schema = {"$schema": "https://json-schema.org/draft/2020-12/schema"} | ModelConfig.model_json_schema()
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"

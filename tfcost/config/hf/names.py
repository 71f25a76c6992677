"""Where a field of a `ModelConfig` comes from in a config.json, and the length taken where nobody says one."""

LONGEST_DEFAULT = 4096
"""Tokens, for models that take more."""

SOURCES: dict[str, tuple[str, ...]] = {
    "d": ("hidden_size", "n_embd", "d_model"),
    "h": ("num_attention_heads", "n_head", "num_heads"),
    "h_kv": ("num_key_value_heads", "num_kv_heads", "multi_query"),
    "d_h": ("head_dim", "d_kv"),
    "L": ("num_hidden_layers", "n_layer", "num_layers"),
    "f": ("intermediate_size", "n_inner", "d_ff", "ffn_hidden_size"),
    "w": ("sliding_window", "attention_window"),
    "V": ("vocab_size",),
    "n": ("max_position_embeddings", "n_positions"),
    "max_positions": ("max_position_embeddings", "n_positions"),
    "rope_width": ("partial_rotary_factor", "rotary_pct", "rope_parameters", "rope_scaling"),
    "layers": ("layer_types", "mlp_only_layers", "first_k_dense_replace", "max_window_layers", "attention_window"),
    "encoder": ("num_layers",),
    "moe": ("num_experts_per_tok",),
    "mla": ("kv_lora_rank",),
}
"""The fields to look for, the likeliest first."""


def default_length(positions: int | None) -> int:
    """Tokens of a sequence when nobody says how many: as many as the model takes, up to `LONGEST_DEFAULT`."""
    return min(positions or LONGEST_DEFAULT, LONGEST_DEFAULT)

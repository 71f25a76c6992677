"""Fields of config.json files that change no cost: values, names, training and generation settings."""

_NAMES = {
    "_name_or_path", "architectures", "attribute_map", "auto_map", "custom_pipelines", "finetuning_task", "id2label",
    "label2id", "language", "model_max_length", "name", "num_labels", "prefix", "problem_type", "task_specific_params",
    "tokenizer_class", "transformers.js_config", "transformers_version", "unsloth_fixed", "unsloth_version",
    "is_llama_config", "_commit_hash", "_attn_implementation", "_attn_implementation_autoset", "attn_implementation",
    "use_flash_attn", "_flash_attn_2_enabled", "torchscript", "return_dict", "onnx_export",
}  # fmt: skip
_TOKENS = {
    "bos_token_id", "eos_token_id", "pad_token_id", "sep_token_id", "cls_token_id", "mask_token_id", "unk_token_id",
    "decoder_start_token_id", "forced_bos_token_id", "forced_eos_token_id", "bad_words_ids", "begin_suppress_tokens",
    "suppress_tokens", "image_token_id",
}  # fmt: skip
_GENERATION = {
    "cache_implementation", "do_sample", "diversity_penalty", "early_stopping", "encoder_no_repeat_ngram_size",
    "exponential_decay_length_penalty", "length_penalty", "max_length", "max_new_tokens", "min_length",
    "no_repeat_ngram_size", "num_beam_groups", "num_beams", "num_return_sequences", "output_scores", "output_past",
    "remove_invalid_values", "repetition_penalty", "return_dict_in_generate", "temperature", "top_k", "top_p",
    "typical_p", "use_cache", "predict_special_tokens", "n_special",
}  # fmt: skip
_VALUES = {
    "attention_dropout", "attention_probs_dropout_prob", "attn_pdrop", "classifier_dropout", "dropout", "dropout_rate",
    "embd_pdrop", "hidden_dropout", "hidden_dropout_prob", "resid_pdrop", "initializer_factor", "initializer_range",
    "layer_norm_eps", "layer_norm_epsilon", "rms_norm_eps", "rope_theta", "rotary_emb_base", "rope_interleave",
    "rope_interleaved", "original_max_position_embeddings", "gradient_checkpointing", "pretraining_tp", "ep_size",
    "attention_softmax_in_fp32", "scale_attention_softmax_in_fp32",
}  # fmt: skip

WITHOUT_COST = frozenset(_NAMES | _TOKENS | _GENERATION | _VALUES)

"""Layers that are not all alike: runs of a pattern, what a layer takes over from the model, the encoder's own."""

from typing import Any

import pytest

from tfcost.config.load import make_config
from tfcost.config.runs import encoder_layers_of, layers_of
from tfcost.errors import UserError

SMALL = {"name": "small", "n": 16, "d": 32, "h": 4, "L": 6}
EXPERTS = {"experts": 4, "chosen": 2, "f": 8}


def make(**fields: Any) -> Any:
    return make_config(SMALL | fields, ("standard", "linear", "sliding-window"))


def test_layers_that_are_all_alike_are_one_run() -> None:
    (run,) = layers_of(make(ffn="gelu", h_kv=2))
    assert run.count == 6
    assert [(one.ffn, one.kv_heads, one.head_width, one.hidden_width) for one in run.pattern] == [("gelu", 2, 8, 128)]


def test_a_layer_takes_over_what_it_does_not_change() -> None:
    pattern = [{"attention": "sliding-window", "w": 3}, {}, {"moe": None, "f": 64}]
    first, last = layers_of(make(moe=EXPERTS, bias="qkv", layers=[{"count": 1, "pattern": pattern},
                                                                  {"count": 3, "pattern": [{"d_h": 16}]}]))  # fmt: skip
    assert (first.count, last.count) == (1, 3)
    assert [one.attention for one in first.pattern] == ["sliding-window", "standard", "standard"]
    assert [one.moe is None for one in first.pattern] == [False, False, True]
    assert [one.hidden_width for one in first.pattern] == [128, 128, 64]
    assert {one.bias for one in (*first.pattern, *last.pattern)} == {"qkv"}
    assert last.pattern[0].head_width == 16


def test_options_belong_to_the_attention_they_were_given_with() -> None:
    config = make(attention="linear", attention_options={"feature_map": "elu"},
                  layers=[{"count": 3, "pattern": [{}, {"attention": "standard"}]}])  # fmt: skip
    (run,) = layers_of(config)
    assert [one.attention_options for one in run.pattern] == [{"feature_map": "elu"}, {}]


def test_an_encoder_is_as_the_decoder_where_nothing_else_is_said_but_sees_all_tokens() -> None:
    config = make(causal=True, ffn="gelu", encoder={"n": 9, "L": 2, "ffn": "relu"})
    (run,) = encoder_layers_of(config)
    assert (run.count, run.pattern[0].causal, run.pattern[0].ffn, run.pattern[0].h) == (2, False, "relu", 4)
    assert layers_of(config)[0].pattern[0].causal
    assert encoder_layers_of(make()) == []


def test_widths_of_experts_and_latent_attention() -> None:
    moe = make(moe=EXPERTS | {"shared": 2, "shared_f": 5}).moe
    assert moe.shared_width == 10
    latent = make(mla={"kv_rank": 12, "rope_width": 2, "nope_width": 4, "v_width": 3})
    assert (latent.head_width, latent.turned_width) == (6, 2)
    assert make(rope=True, rope_width=2).turned_width == 2
    assert make(rope=True).turned_width == 8


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"layers": [{"count": 5, "pattern": [{}]}]}, "--layers: the runs have 5 layers, not L = 6"),
        ({"layers": [{"count": 6, "pattern": [{"h": 3}]}]}, "--layers: run 1, layer 1: d = 32 is not divisible by h"),
        ({"layers": [{"count": 6, "pattern": [{"attention": "linar"}]}]}, "unknown technique 'linar'; did you mean"),
        ({"layers": [{"count": 6, "pattern": [{"casual": True}]}]}, "did you mean 'causal'"),
        ({"layers": [{"count": 6, "pattern": []}]}, "--layers: "),
        ({"layers": [{"count": 0, "pattern": [{}]}]}, "--layers: "),
        ({"moe": EXPERTS | {"chosen": 5}}, "--moe: chosen = 5 is more than experts = 4"),
        ({"moe": EXPERTS | {"gate": True}}, "--moe: gate without shared experts"),
        ({"moe": EXPERTS | {"expert": 5}}, "did you mean 'experts'"),
        ({"rope_width": 4}, "--rope-width: rope_width without 'rope: true'"),
        ({"rope": True, "rope_width": 3}, "--rope-width: rope_width = 3 must be even"),
        ({"rope": True, "rope_width": 10}, "d_h = 8 at most"),
        ({"bias": "q"}, "--bias: expected true, false or qkv, found 'q'"),
        ({"parallel": "one norm"}, "--parallel: parallel needs 'norm: pre'"),
        ({"parallel": "one norm", "norm": "pre", "moe": EXPERTS}, "parallel and moe are not a choice together"),
        ({"mla": {"kv_rank": 4}}, "is missing"),
        ({"rope": True, "mla": {"kv_rank": 4, "rope_width": 2, "nope_width": 4, "v_width": 4}}, "not a choice with"),
        ({"head_softcap": True}, "--head-softcap: head_softcap without a head"),
        ({"training": {"recompute": "every"}}, "'recompute: every' and 'every: LAYERS' belong together"),
        ({"training": {"every": 2}}, "'recompute: every' and 'every: LAYERS' belong together"),
        ({"encoder": {"n": 4}}, "'encoder.L' is missing"),
    ],
)  # fmt: skip
def test_a_mistake_is_told(fields: dict[str, Any], expected: str) -> None:
    with pytest.raises(UserError) as caught:
        make(**fields)
    assert expected in str(caught.value)

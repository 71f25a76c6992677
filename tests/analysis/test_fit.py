"""The largest size that fits, against a search one by one; and options, each against the model configured so."""

from pathlib import Path
from typing import Any

import pytest

from tfcost.analysis.fit import changed, largest_fit, peak_of
from tfcost.analysis.machines import load_machine
from tfcost.analysis.model import compose
from tfcost.analysis.predict import Machine
from tfcost.analysis.remedies import remedies
from tfcost.analysis.roofline import model_time
from tfcost.book import load_book
from tfcost.config.load import load_config, make_config
from tfcost.config.model import ModelConfig
from tfcost.errors import UserError

BOOK = load_book()
H100: Machine = load_machine("h100-sxm")
SMALL = {"name": "small", "n": 40, "d": 32, "h": 4, "L": 2, "V": 100, "norm": "pre", "ffn": "gelu", "head": "untied"}
CONFIGS = Path(__file__).parents[2] / "configs"


def config(**fields: Any) -> ModelConfig:
    return make_config({**SMALL, **fields}, BOOK.names)


def peak(one: ModelConfig, pass_: str) -> int:
    return int(peak_of(compose(one, BOOK, pass_=pass_)))


@pytest.mark.parametrize("pass_", ["forward", "train"])
@pytest.mark.parametrize(("symbol", "memory"), [("n", 300_000), ("b", 1_000_000), ("L", 500_000)])
def test_as_found_one_by_one(symbol: str, memory: int, pass_: str) -> None:
    found = largest_fit(config(), BOOK, pass_, symbol, memory)
    value = 1
    while peak(config(**{symbol: value}), pass_) <= memory:
        value += 1
    assert found.largest == (value - 1 or None)
    if found.largest:
        assert found.peak == peak(config(**{symbol: value - 1}), pass_) <= memory
        assert found.peak_after == peak(config(**{symbol: value}), pass_) > memory


def test_a_real_model_is_solved_and_proven() -> None:
    gpt2 = load_config(CONFIGS / "gpt2.yaml", {}, BOOK.names)
    found = largest_fit(gpt2, BOOK, "train", "b", 80 * 2**30)
    assert found.largest is not None
    for value, fits in ((found.largest, True), (found.largest + 1, False)):
        assert (peak(changed(gpt2, BOOK, b=value), "train") <= 80 * 2**30) is fits


def test_nothing_fits() -> None:
    found = largest_fit(config(), BOOK, "train", "b", 1000)
    assert (found.largest, found.peak_after) == (None, None)
    assert found.peak == peak(config(b=1), "train")


def test_everything_fits() -> None:
    learned = config(positions="learned", max_positions=50)
    found = largest_fit(learned, BOOK, "train", "n", 10**12)
    assert (found.largest, found.peak_after, found.limit) == (50, None, "the model has 50 positions")


def test_a_symbol_that_cannot_be_solved_for() -> None:
    with pytest.raises(UserError, match="no model is solved for 'd'; known: L, b, n"):
        largest_fit(config(), BOOK, "train", "d", 1000)


def test_layers_that_differ_grow_by_whole_repetitions_of_the_longest_run() -> None:
    runs: list[dict[str, Any]] = [{"count": 1, "pattern": [{"f": 64}]}, {"count": 3, "pattern": [{}, {"causal": True}]}]
    found = largest_fit(config(L=7, layers=runs), BOOK, "train", "L", 1_000_000)
    repeats = 1
    while (now := peak(config(L=1 + 2 * repeats, layers=[runs[0], {**runs[1], "count": repeats}]), "train")) <= 10**6:
        before, repeats = now, repeats + 1
    assert (found.largest, found.peak) == (2 * repeats - 1, before)
    assert (found.after, found.peak_after) == (2 * repeats + 1, now)


def test_options_are_the_models_configured_so() -> None:
    one = config(n=2048, b=4, d=256, causal=True, training={"optimizer": "adamw"})
    memory = peak(one, "train") // 2
    found = remedies(one, BOOK, "train", memory, H100)
    assert not found.fits
    names = [option.change.name for option in found.options]
    assert {"flash attention", "1 key/value heads"} <= set(names)
    for option in found.options:
        cost = compose(changed(one, BOOK, **option.change.fields), BOOK, pass_="train")
        assert option.peak == peak_of(cost) < found.peak
        assert option.fits == (option.peak <= memory)
        assert option.seconds == model_time(cost, H100).prediction.seconds * option.change.turns


def test_those_that_fit_come_first_and_the_fastest_of_them_first() -> None:
    one = config(n=2048, b=8, d=256, causal=True)
    found = remedies(one, BOOK, "train", peak(one, "train") * 2 // 3, H100)
    fitting = [option for option in found.options if option.fits]
    assert fitting
    assert tuple(fitting) == found.options[: len(fitting)]
    seconds = [option.seconds or 0 for option in fitting]
    assert seconds == sorted(seconds)
    others = [option.peak for option in found.options[len(fitting) :]]
    assert others == sorted(others)


def test_what_changes_the_model_is_said_to() -> None:
    one = config(n=2048, b=2, causal=True)
    found = remedies(one, BOOK, "train", 1000, H100)
    changing = {option.change.name for option in found.options if not option.change.same_model}
    assert changing <= {"sliding window of 512 tokens", "1 key/value heads"}
    assert all(not name.startswith("batch") for name in changing)


def test_a_model_that_fits_is_told_so() -> None:
    assert remedies(config(), BOOK, "forward", 10**9, H100).fits

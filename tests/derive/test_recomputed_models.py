"""What recomputation costs: models composed under every policy against the same ones run for real with torch's own
checkpoint: matmul FLOPs (torch's counter) and peak memory (the allocator), where different moments are the highest."""

from typing import Any

import pytest
from derive.models import GPT2, LLAMA, SMALL_BOOK
from derive.whole import check_whole, derive_for_the_cpu

from tfcost.analysis.model import compose
from tfcost.book import Book
from tfcost.config.load import make_config
from tfcost.errors import UserError

POLICIES = [{"recompute": "none"}, {"recompute": "full"}, {"recompute": "every", "every": 2},
            {"recompute": "selective"}]  # fmt: skip
MODELS = [GPT2, LLAMA, LLAMA | {"name": "wide", "f": 400}, LLAMA | {"name": "long", "n": 120},
          LLAMA | {"name": "deep", "n": 8, "L": 12}, LLAMA | {"name": "vocabulary", "V": 3000, "L": 2}]  # fmt: skip


@pytest.fixture(scope="module")
def book(tmp_path_factory: pytest.TempPathFactory) -> Book:
    return derive_for_the_cpu(tmp_path_factory.mktemp("book"), SMALL_BOOK)


@pytest.mark.parametrize("policy", POLICIES, ids=lambda policy: policy["recompute"])
@pytest.mark.parametrize("fields", MODELS, ids=lambda fields: fields["name"])
def test_recomputed_equals_whole(fields: dict[str, Any], policy: dict[str, Any], book: Book) -> None:
    check_whole(fields | {"training": policy}, "train", book)


@pytest.mark.parametrize("pass_", ["forward", "decode"])
def test_inference_equals_whole(pass_: str, book: Book) -> None:
    check_whole(LLAMA, pass_, book)


def test_layers_that_a_checkpoint_does_not_divide_are_refused(book: Book) -> None:
    pattern = [{"count": 2, "pattern": [{}, {"f": 40}]}]
    config = make_config(LLAMA | {"layers": pattern, "training": {"recompute": "every", "every": 3}}, book.names)
    with pytest.raises(UserError, match="3 layers are no whole number of patterns of 2 layers"):
        compose(config, book, pass_="train")


def test_layers_that_differ_in_a_width_have_a_symbol_for_each(book: Book) -> None:
    config = make_config(LLAMA | {"layers": [{"count": 2, "pattern": [{}, {"f": 40}]}]}, book.names)
    cost = compose(config, book)
    assert (cost.values["f"], cost.values["f_2"]) == (88, 40)
    assert {part.name: part.count.text for part in cost.parts}["ffn 2"] == "L/2"
    check_whole(LLAMA | {"layers": [{"count": 2, "pattern": [{}, {"f": 40}]}]}, "forward", book)

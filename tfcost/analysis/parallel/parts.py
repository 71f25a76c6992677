"""The parts of a model as one GPU of several runs them: a configuration in, runs with a GPU's own sizes out."""

from collections.abc import Mapping
from dataclasses import replace

from tfcost.analysis.model.chain import Builder
from tfcost.analysis.model.names import Names
from tfcost.analysis.model.part import Part
from tfcost.analysis.model.select import Choice
from tfcost.book import Book
from tfcost.book.record import OptionValue
from tfcost.config.model import ModelConfig
from tfcost.config.parallelism import Parallelism
from tfcost.errors import UserError
from tfcost.formula import Formula

Variant = Mapping[str, OptionValue]
_OWN = {"b": "b/(A*D)", "n": "n/C"}


class GpuBuilder(Builder):
    """Looks up every part as a GPU has it: its rows of the batch, its heads and columns."""

    def __init__(self, config: ModelConfig, parallelism: Parallelism, book: Book) -> None:
        super().__init__(config, book, "train")
        self._parallelism = parallelism
        self.base |= parallelism.values
        self.names = Names(config.values | self.base)

    def part(self, choice: Choice) -> Part:
        """The part for `choice` on one GPU. UserError if it is not derived for such a split."""
        split = self._parallelism
        if split.context > 1 and choice.attends:
            if split.tensor > 1:
                raise UserError("parallelism: context and tensor together are not derived")
            choice = replace(choice, technique="context-parallel", variant=_context_variant(choice), decode=None)
        if split.expert > 1 and choice.variant.get("kind") == "experts":
            if split.zero > 1:
                raise UserError("parallelism: expert with zero 2 or 3 is not composed")
            kept = {name: choice.variant[name] for name in ("shared", "gate", "expert_bias")}
            choice = replace(choice, technique="expert-parallel", variant=kept)
        if split.tensor > 1:
            choice = _on_tensor_group(choice, "split" if split.sequence else "whole")
        return super().part(_own_rows(choice, split))


def _own_rows(choice: Choice, parallelism: Parallelism) -> Choice:
    """The same for the rows that one GPU has at a time."""
    own = {"b": _OWN["b"]} if parallelism.data * parallelism.micro_batches > 1 else {}
    # Formulas of ring attention tell of whole sequences.
    own |= {"n": _OWN["n"]} if parallelism.context > 1 and choice.technique != "context-parallel" else {}
    meanings = {name: Formula(text) for name, text in own.items()}
    told = {name: Formula(text).substitute(meanings).text for name, text in choice.formulas.items()}
    return replace(choice, formulas={**own, **told})


def _context_variant(choice: Choice) -> Variant:
    """The options of an attention block among those of ring attention. UserError for one that is not there."""
    given = dict(choice.variant)
    if choice.technique == "standard":
        return {"part": "attention", **{name: given[name] for name in ("causal", "norm", "bias")}}
    if choice.technique == "decoder-attention" and (given.pop("attention"), given.pop("window")) == ("standard", False):
        return {"part": "decoder attention", **given}
    raise UserError(f"parallelism.context: no ring is derived for '{choice.name}'; give 'attention: standard'")


def _on_tensor_group(choice: Choice, rows: str) -> Choice:
    variant = {"rows": rows, **_tensor_variant(choice)}
    if variant.get("part") == "norm" and rows == "whole":
        return choice
    # The derived variants of these parts are told apart by all their options.
    return replace(choice, technique="tensor-parallel", variant=variant, decode=None)


def _tensor_variant(choice: Choice) -> Variant:
    """The options of a part among those of tensor parallelism. UserError for one that is not there."""
    given = dict(choice.variant)
    match choice.technique, given.get("part"):
        case (("standard" | "flash"), _):
            kept = {name: given[name] for name in ("causal", "norm", "bias")}
            return {"part": "attention", "attention": choice.technique, **kept}
        case "ffn", _:
            return {"part": "ffn", **{name: given[name] for name in ("activation", "norm", "bias")}}
        case "decoder-attention", _:
            return {"part": "decoder attention", **given}
        case "decoder-ffn", _ if given["kind"] == "network":
            return {"part": "decoder ffn", "activation": given["activation"], "norm": given["norm"]}
        case "transformer", "embedding" if not (given["segments"] or given["norm"]):
            return {"part": "embedding", "positions": given["positions"]}
        case "transformer", "norm":
            return {"part": "norm", "norm_kind": "layer"}
        case "decoder-ends", "norm":
            return {"part": "norm", "norm_kind": "rms"}
        case "transformer", "head and loss":
            return {"part": "head and loss"}
    raise UserError(f"parallelism.tensor: the part '{choice.name}' of this model is not derived for several GPUs")

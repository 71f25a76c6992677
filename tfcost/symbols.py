"""The one table of symbols: every formula, option, book entry and page uses these names.

Nothing else defines a symbol. `SYMBOLS` maps a name to its meaning, its LaTeX and its command-line option.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Symbol:
    """One symbol: its `name`, what it means, its LaTeX, its command-line `option` (None: internal), its least value."""

    name: str
    meaning: str
    latex: str
    option: str | None = None
    least: int = 1


_TABLE = (
    Symbol("n", "sequence length (queries)", "n", "--n"),
    Symbol("m", "keys, where they differ from n; decode: cached tokens, the new one included", "m", "--m"),
    Symbol("d", "model width, d = h*d_h", "d", "--d"),
    Symbol("h", "attention heads", "h", "--h"),
    Symbol("h_kv", "key/value heads", "h_{kv}", "--h-kv"),
    Symbol("d_h", "head width", "d_h", "--d-h"),
    Symbol("L", "layers", "L", "--L"),
    Symbol("b", "batch", "b", "--b"),
    Symbol("w", "window: keys a query sees on one side, itself not counted", "w", "--w", least=0),
    Symbol("g", "global tokens", "g", "--g", least=0),
    Symbol("k", "positions per query (sparse), experts per token (MoE)", "k", "--k"),
    Symbol("E", "experts", "E", "--E"),
    Symbol("f", "FFN hidden width (4*d unless said)", "f", "--f"),
    Symbol("c", "chunk or cluster length; tokens that an expert takes (MoE)", "c", "--c"),
    Symbol("s", "stride of a sparse pattern; layers per checkpoint", "s", "--s"),
    Symbol("p", "tokens of a prompt", "p", "--p"),
    Symbol("t", "tokens generated after it", "t", "--t"),
    Symbol("V", "vocabulary", "V", "--V"),
    Symbol("P", "learned positions", "P"),
    Symbol("S", "segments (token types)", "S"),
    Symbol("N", "parameters of a model", "N"),
    Symbol("T", "GPUs of a tensor-parallel group", "T"),
    Symbol("C", "GPUs of a context-parallel group", "C"),
    Symbol("X", "GPUs of an expert-parallel group", "X"),
    Symbol("D", "GPUs of a data-parallel group", "D"),
    Symbol("Q", "stages of a pipeline", "Q"),
    Symbol("A", "micro-batches of a step", "A"),
    Symbol("G", "GPUs of any one group", "G"),
    Symbol("d_rope", "columns of a head that are turned by position", "d_{rope}"),
    Symbol("d_nope", "columns of a query's and key's head that are not turned (latent attention)", "d_{nope}"),
    Symbol("d_v", "columns of a value's head (latent attention)", "d_v"),
    Symbol("r_q", "width of the queries' latent", "r_q"),
    Symbol("r_kv", "width of the latent of keys and values", "r_{kv}"),
    Symbol("f_e", "hidden width of a routed expert", "f_e"),
    Symbol("f_s", "hidden width of the shared experts together", "f_s"),
    Symbol("E_a", "experts that any token goes to", "E_a"),
    Symbol("R", "buckets of relative positions", "R"),
    Symbol("n_enc", "tokens that the encoder reads", "n_{enc}"),
    Symbol("L_enc", "layers of the encoder", "L_{enc}"),
    Symbol("B_M", "query rows per tile", "B_M"),
    Symbol("B_N", "keys per tile", "B_N"),
    Symbol("M", "on-chip memory of one program, bytes", "M"),
)

SYMBOLS: dict[str, Symbol] = {symbol.name: symbol for symbol in _TABLE}

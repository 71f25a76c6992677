"""A config.json to the fields of a `ModelConfig`, each with the line it comes from, and what to tell beside them."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tfcost.config.hf import deepseek, experts, gemma, learned, llama, parallel, t5
from tfcost.config.hf.family import TRANSFORMERS, Family, Values
from tfcost.config.hf.json_file import read_json
from tfcost.config.hf.names import LONGEST_DEFAULT, SOURCES, default_length
from tfcost.config.yaml_file import Path_, YamlFile
from tfcost.errors import nearest

FAMILIES: dict[str, Family] = {
    family.model_type: family
    for family in (
        learned.GPT2, learned.BERT, learned.LONGFORMER, t5.T5, llama.LLAMA, llama.MISTRAL, llama.QWEN2, llama.QWEN3,
        llama.PHI3, gemma.GEMMA2, gemma.GEMMA3, experts.MIXTRAL, experts.QWEN3_MOE, experts.GPT_OSS,
        deepseek.DEEPSEEK_V2, deepseek.DEEPSEEK_V3, parallel.FALCON, parallel.GPT_NEOX,
    )
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class HfModel:
    """The fields of a `ModelConfig` as a file, with their lines in the config.json; `notes` on how it was read."""

    fields: YamlFile
    notes: tuple[str, ...]


def read_model(path: Path) -> HfModel:
    """The model in the config.json `path`. UserError, with file and line, for anything that is not understood."""
    file = read_json(path)
    values = _family(file).read(file)
    fields = {"name": _name(path), **_family(file).build(values), **_length(values), **_dtype(values)}
    if values.get("quantization_config") is not None:
        values.notes.append("quantization_config: the weights are counted in the dtype above, as before quantization")
    if values.taken:
        values.notes.insert(0, f"defaults of transformers {TRANSFORMERS} taken: {', '.join(values.taken)}")
    return HfModel(YamlFile(path, _plain(fields), _lines(file, fields)), tuple(values.notes))


def _family(file: YamlFile) -> Family:
    kind = file.data.get("model_type")
    if kind is None:
        raise file.error((), "'model_type' is missing: not the config.json of a model")
    if not isinstance(kind, str) or kind not in FAMILIES:
        raise file.error(("model_type",), f"model_type: '{str(kind)[:60]}' is not known{nearest(str(kind), FAMILIES)}")
    return FAMILIES[kind]


def _name(path: Path) -> str:
    """The file's name, or its folder's where the file is called config.json."""
    name = path.stem if path.stem != "config" else path.resolve().parent.name
    return name[:200] or "model"


def _length(values: Values) -> dict[str, Any]:
    """n: what the model takes, 4096 at most."""
    positions = values.get("max_position_embeddings") or values.get("n_positions")
    n = default_length(positions)
    reason = f"of {positions} positions" if positions and positions > LONGEST_DEFAULT else (
        "all positions" if positions else "the file says none")  # fmt: skip
    values.notes.append(f"n = {n} ({reason}) and b = 1, unless the command line says others")
    return {"n": n}


def _dtype(values: Values) -> dict[str, Any]:
    dtype = values.get("dtype")
    if dtype is None:
        values.notes.append("dtype = bfloat16: the file says none")
        return {}
    return {"dtype": dtype}


def _plain(fields: dict[str, Any]) -> dict[str, Any]:
    """Without what a `ModelConfig` takes for itself: h_kv = h, d_h = d/h, f = 4*d, a wholly turned head."""
    found = dict(fields)
    own = {"h_kv": found["h"], "d_h": found["d"] / found["h"], "f": 4 * found["d"]}
    width = found.get("d_h", found["d"] // found["h"])
    for name, value in {**own, "rope_width": width}.items():
        if found.get(name) == value:
            del found[name]
    return {name: value for name, value in found.items() if value is not None}


def _lines(file: YamlFile, fields: dict[str, Any]) -> dict[Path_, int]:
    """The line of each field: that of the first source in the file, else the model_type's."""
    lines: dict[Path_, int] = {}
    for name in fields:
        places = [file.lines[source,] for source in SOURCES.get(name, ()) if (source,) in file.lines]
        lines[name,] = places[0] if places else file.lines["model_type",]
    return lines

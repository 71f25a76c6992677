"""The main jobs on the book that comes with tfcost, checked against what is known from elsewhere."""

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

import tfcost.report

Run = Any
SCHEMA = json.loads((Path(tfcost.report.__file__).parent / "result.schema.json").read_text(encoding="utf-8"))


def document(run: Run, *arguments: str) -> Any:
    result = run(*arguments, "--format", "json")
    assert result.exit_code == 0, result.stderr
    found = json.loads(result.stdout)
    jsonschema.validate(found, SCHEMA)
    return found


def quantity(found: Any, technique: str, scope: str, name: str) -> Any:
    (result,) = [one for one in found["results"] if (one["technique"], one["scope"]) == (technique, scope)]
    return result["quantities"][name]


def test_flash_against_linear_at_ten_thousand(real: Run) -> None:
    """Flash computes whole tiles of 128 queries and 64 keys; the mathematics asks for n*n pairs."""
    found = document(real, "compare", "flash", "linear", "--n", "10000")
    tiles = -(-10_000 // 128) * -(-10_000 // 64)
    assert quantity(found, "flash", "core", "matmul_flops")["value"] == 12 * tiles * 2 * (2 * 128 * 64 * 64)
    assert quantity(found, "flash", "core", "algorithmic_flops")["value"] == 4 * 12 * 10_000**2 * 64
    assert quantity(found, "flash", "core", "matmul_flops")["theta"] == "n**2*d"
    assert quantity(found, "linear", "core", "matmul_flops")["theta"] == "n*d**2/h"
    assert quantity(found, "flash", "core", "peak_bytes")["value"] == 4 * 10_000 * 768 * 2
    assert {one["scope"] for one in found["results"]} == {"core", "layer"}
    assert all(one["prediction"]["device"] == "h100-sxm" for one in found["results"])


def test_linear_is_cheaper_from_about_the_head_width_on(real: Run) -> None:
    """4*n**2*d_h against 4*n*d_h**2 and a normaliser of 2*n*d_h: from n = d_h + 1/2 on."""
    for width in ("64", "128"):
        found = document(real, "compare", "standard", "linear", "--d-h", width, "--h", "6")
        (meeting,) = [
            one for one in found["crossovers"] if (one["quantity"], one["scope"]) == ("algorithmic_flops", "core")
        ]
        assert (meeting["at"], meeting["cheaper_above"]) == (int(width) + 1, "linear")


def test_one_head_reproduces_the_source_document(real: Run) -> None:
    found = document(real, "compare", "standard", "linear", "--h", "1", "--d", "64", "--n", "10000")
    standard = {name: quantity(found, "standard", "layer", name)["theta"] for name in ("matmul_flops", "peak_bytes")}
    assert standard == {"matmul_flops": "n**2*d + n*d**2", "peak_bytes": "h*n**2 + d**2"}


@pytest.mark.parametrize(
    ("arguments", "agreeing"),
    [
        (("standard",), 6),
        (("ffn",), 4),
        (("flash", "--n", "10000"), 2),
        (("linear",), 2),
        (("transformer", "--pass", "train"), 2),
    ],
)
def test_the_claims_of_the_source_document_hold(real: Run, arguments: tuple[str, ...], agreeing: int) -> None:
    found = document(real, "explain", *arguments)["explanation"]["claims"]
    classes = [claim for claim in found if "ratio" not in claim]
    assert [claim["agrees"] for claim in classes].count(True) == agreeing == len(classes)


def test_flash_saves_about_70_percent_only_at_short_lengths(real: Run) -> None:
    """Both hold q, k, v and o, standard attention two n×n matrices more: of 4·n·d_h and 2·n² + 4·n·d_h elements the
    first is 0.3 at about n = 300.
    """
    for n, agrees in ((320, True), (4096, False)):
        claims = document(real, "explain", "flash", "--n", str(n))["explanation"]["claims"]
        (memory,) = [claim for claim in claims if claim["quote"] == "about 70 % less memory"]
        assert memory["ratio"]["than"] == "standard"
        assert memory["ratio"]["derived"] == pytest.approx(4 * 64 / (2 * n + 4 * 64))
        assert memory["agrees"] == agrees


def test_scores_are_freed_layer_by_layer_without_training(real: Run) -> None:
    """The document's L*n**2 is what training keeps; a forward pass alone holds one layer's scores."""
    claims = document(real, "explain", "transformer")["explanation"]["claims"]
    (space,) = [claim for claim in claims if claim["quantity"] == "space"]
    assert (space["agrees"], space["derived_one_head"]) == (False, "L*d**2 + n**2")


def test_explain_goes_down_to_the_lines_of_the_kernel(real: Run) -> None:
    found = document(real, "explain", "flash", "--n", "8192", "--h", "1")
    operations = found["results"][0]["operations"]
    dots = [one for one in operations if one["name"] == "tt.dot"]
    assert all(one["location"].startswith("kernels/flash/forward.py:") for one in dots)
    assert sum(one["quantities"]["matmul_flops"]["value"] for one in dots) == 4 * 8192**2 * 64


def test_explain_says_what_uneven_routings_cost(real: Run) -> None:
    found = document(real, "explain", "moe")["explanation"]["routing"]
    for one in found["quantities"].values():
        assert one["even"] < one["expected"] < one["worst"]
    (tiles,) = found["tiles"]
    assert tiles["rows"] == 128
    assert 8 * 1024 // 128 < tiles["expected"] < 8 * 1024 // 128 + 8
    assert "random: each token goes to k of the E experts" in real("explain", "moe").stdout
    assert "routing" not in document(real, "explain", "moe", "--option", "routing=worst")["explanation"]


@pytest.mark.parametrize("causal", ["--causal", "--no-causal"])
def test_explain_flash_gives_the_theorem_of_its_traffic(real: Run, causal: str) -> None:
    """Dao et al. (2022), theorem 2: n**2*d**2/M for M between d and n*d; the source document claims time and space."""
    explanation = document(real, "explain", "flash", causal)["explanation"]
    assert explanation["io"]["bytes"] == "n**2*d_h**2/M"
    shown = real("explain", "flash", causal).stdout
    assert "Θ(n²·d_h²/M)    Θ(M/d_h)" in shown
    assert shown.index("Θ(n²·d_h²/M)") < shown.index("What the source document states")


@pytest.mark.parametrize("technique", ["standard", "flash", "linear", "ffn", "transformer"])
@pytest.mark.parametrize("notation", ["table", "md", "csv", "latex"])
def test_every_technique_is_explained_in_every_notation(real: Run, technique: str, notation: str) -> None:
    result = real("explain", technique, "--n", "1024", "--format", notation)
    assert (result.exit_code, result.stderr) == (0, "")
    assert len(result.stdout.splitlines()) > 5


@pytest.mark.parametrize("pass_", ["forward", "backward"])
@pytest.mark.parametrize("causal", ["--causal", "--no-causal"])
def test_attention_in_every_variant(real: Run, pass_: str, causal: str) -> None:
    arguments = ["flash", "linear", "--pass", pass_, causal, "--h-kv", "4", "--n", "1000", "--scope", "core"]
    found = document(real, "compare", *arguments)
    for result in found["results"]:
        assert result["classes"]["time"]
        assert all(one["value"] >= 0 for one in result["quantities"].values())


def test_huge_sizes_are_exact_and_have_no_predicted_time(real: Run) -> None:
    assert "larger than 10^100" in real("compare", "flash", "linear", "--n", "1e101").stderr
    n = 10**30
    found = document(real, "compare", "standard", "linear", "--n", str(n), "--h", "1", "--d", "1")
    assert quantity(found, "standard", "core", "matmul_flops")["value"] == 4 * n * n


def test_unknown_parts_and_norms_are_told(real: Run) -> None:
    assert (
        "norm = 'pr'; did you mean 'pre'?"
        in real("explain", "linear", "--scope", "block", "--option", "norm=pr").stderr
    )
    assert "part = 'hed'; did you mean 'head'?" in real("explain", "transformer", "--option", "part=hed").stderr


def test_every_claim_gets_a_verdict(real: Run) -> None:
    found = real("techniques", "--claims", "--format", "json")
    assert found.exit_code == 0, found.stderr
    claims = json.loads(found.stdout)["claims"]
    assert {claim["section"] for claim in claims} >= {"1.1.2", "1.2.2", "1.3", "2.1", "2.2", "2.3", "3.1", "4.2"}
    assert all(claim["verdict"].startswith(("holds", "does not hold", "undecided")) for claim in claims)

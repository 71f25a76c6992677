"""Compiling without a GPU: TTIR text with source lines, and what a full build reports."""

import pytest
import triton
import triton.language as tl
from derive.ttir import kernels
from derive.ttir.subjects import SUBJECTS

from tfcost.derive.errors import DerivationError
from tfcost.derive.offline import compile_metadata, ttir_text


@triton.jit
def wrong_types(X, B: tl.constexpr):
    tl.store(X, tl.dot(tl.arange(0, B), tl.arange(0, B)))


def test_text_has_operations_and_source_lines() -> None:
    subject = SUBJECTS["matmul"]
    text = ttir_text(subject.kernel, subject.signature, subject.constexprs)
    assert "tt.dot" in text
    assert f'loc("{kernels.__file__}"' in text


def test_a_kernel_that_does_not_compile_is_named() -> None:
    with pytest.raises(DerivationError, match="wrong_types does not compile"):
        ttir_text(wrong_types, {"X": "*fp32", "B": "constexpr"}, {"B": 16})


def test_only_compiled_kernels_are_taken() -> None:
    with pytest.raises(DerivationError, match="not a compiled Triton kernel"):
        ttir_text(wrong_types.fn, {"X": "*fp32", "B": "constexpr"}, {"B": 16})


def test_a_full_build_reports_its_resources() -> None:
    subject = SUBJECTS["matmul"]
    few, more = (
        compile_metadata(
            subject.kernel, subject.signature, subject.constexprs, num_stages=stages, aligned=["A", "B", "C", "N", "K"]
        )
        for stages in (2, 4)
    )
    assert 0 < few.registers <= 255
    assert few.spilled_bytes == 0
    # Each further stage holds one more tile of A and B.
    assert more.shared_bytes - few.shared_bytes == 2 * 2 * (64 * 32 + 32 * 32)

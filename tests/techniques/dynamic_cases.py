"""Top-k and cluster attention with their kernels in Triton's CPU interpreter: errors against a masked reference."""

import torch
from kernels.interpreter_run import Errors, errors, poison_new_tensors, print_report
from techniques.masked import masked_attention, with_gradients
from techniques.test_cluster import KERNEL_CASES as CLUSTER_CASES
from techniques.test_cluster import clusters, seen
from techniques.test_cluster import inputs as cluster_inputs
from techniques.test_top_k import KERNEL_CASES, inputs, visible

from tfcost.techniques import cluster, top_k

NAMES = ("o", "dq", "dk", "dv")


def _errors(attend: object, seen: torch.Tensor, *leaves: torch.Tensor) -> Errors:
    """Errors of `attend` in fp32, next to those of the reference in fp32."""
    single = [leaf.float() for leaf in leaves]
    exact = with_gradients(lambda *x: masked_attention(*x, seen), *leaves)
    same = with_gradients(lambda *x: masked_attention(*x, seen), *single)
    return errors(NAMES, with_gradients(attend, *single), same, exact)


def top_k_errors(n: int, m: int, h: int, h_kv: int, blocks: int, causal: bool) -> Errors:
    q, k, v = inputs(n, m, h, h_kv, b=1)
    seen = visible(top_k.select_blocks(q.float(), k.float(), blocks, causal), n, m, causal)
    return _errors(lambda *x: top_k.attention(*x, blocks, causal), seen, q, k, v)


def cluster_errors(n: int, h: int, h_kv: int, directions: int, blocks: int, lsh: bool, causal: bool) -> Errors:
    *leaves, rotations = cluster_inputs(n, h, h_kv, directions, b=1)
    rotations = rotations.float()
    visible = seen(leaves[1].float(), rotations, lsh, causal, clusters(blocks * cluster.BLOCK))
    return _errors(lambda *x: cluster.attention(*x, rotations, blocks, lsh, causal), visible, *leaves)


if __name__ == "__main__":
    torch.set_num_threads(1)
    poison_new_tensors()
    both = (False, True)
    print_report({
        "top_k": [top_k_errors(*case, causal) for case in KERNEL_CASES for causal in both],
        "cluster": [cluster_errors(*case, lsh=causal, causal=causal) for case in CLUSTER_CASES for causal in both],
    })  # fmt: skip

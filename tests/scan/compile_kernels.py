"""Compile every kernel of the scans for a GPU of compute capability 9.0, which needs none; print one name a line.

Run by test_triton_compiles.py in a process of its own, without the interpreter.
"""

import triton
import triton.language as tl
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource

from lsm.scan import triton_kernels, triton_modulated_kernels

OPTIONS = {"CHUNK": 32, "LANES": 16, "REVERSE": True, "COMPLEX": True, "BACKWARD": True, "HAS_START": True,
           "HAS_ORDER": True}  # fmt: skip
INTEGERS = ("length", "width", "ab", "al", "bb", "bl", "gb", "gl", "u_row", "m_row", "gates_row", "order_batch")
LANE_STRIDES = ("an", "bn", "gn")


def compile_kernel(kernel, pointer):
    constants = {name: value for name, value in OPTIONS.items() if name in kernel.arg_names}
    constants |= dict.fromkeys((name for name in LANE_STRIDES if name in kernel.arg_names), 1)
    types = dict.fromkeys(INTEGERS, "i32") | dict.fromkeys(constants, "constexpr") | {"order": "*i64"}
    signature = {name: types.get(name, pointer) for name in kernel.arg_names}
    target = GPUTarget("cuda", 90, 32)
    return triton.compile(ASTSource(kernel, signature, constants), target=target, options={"num_warps": 4})


for module in (triton_kernels, triton_modulated_kernels):
    for name, kernel in vars(module).items():
        if kernel is triton_modulated_kernels.gradients_kernel and not hasattr(tl, "gather"):
            continue  # Triton 3.2, for which `modulated_scan` does without
        if name.endswith("_kernel"):
            assert compile_kernel(kernel, "*fp32").asm["cubin"]
            print(name, flush=True)

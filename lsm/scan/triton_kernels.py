"""GPU kernels of the scan h_k = a_k h_{k-1} + b_k, in Triton; `triton_scan.py` launches them.

The sequence is cut into chunks of CHUNK steps. A program holds one chunk of LANES states in registers and scans it with
`tl.associative_scan`. Step k of the scan stands at position k, or L−1−k when REVERSE. Only scans in the order of the
rows are used: the reversed ones of Triton have given wrong results (triton issue 4362), so a chunk is read backwards.

Numbers are computed in the type of the result, float32 for halves, whatever the type of the inputs.
"""

from __future__ import annotations

import triton
import triton.language as tl


@triton.jit
def combine_real(a_left, b_left, a_right, b_right):
    """Compose two steps h ↦ a h + b: the left one first."""
    return a_right * a_left, a_right * b_left + b_right


@triton.jit
def combine_complex(ar_left, ai_left, br_left, bi_left, ar, ai, br, bi):
    """Compose two complex steps h ↦ a h + b, real and imaginary planes: the left one first."""
    return (
        ar * ar_left - ai * ai_left,
        ar * ai_left + ai * ar_left,
        ar * br_left - ai * bi_left + br,
        ar * bi_left + ai * br_left + bi,
    )


@triton.jit
def scan_tile(ar, ai, br, bi, COMPLEX: tl.constexpr):
    """Scan a tile along its rows: the products of a, and the states, each as two planes."""
    if COMPLEX:
        ar, ai, br, bi = tl.associative_scan((ar, ai, br, bi), 0, combine_complex)
    else:
        ar, br = tl.associative_scan((ar, br), 0, combine_real)
    return ar, ai, br, bi


@triton.jit
def last_row(tile, CHUNK: tl.constexpr):
    """Take the last row of a tile (CHUNK, LANES)."""
    rows = tl.arange(0, CHUNK)[:, None]
    return tl.sum(tl.where(rows == CHUNK - 1, tile, 0.0), axis=0)


@triton.jit
def load_steps(
    pointer, batch_stride, row_stride, lane_stride, batch, step, length, lanes, width, REVERSE: tl.constexpr
):  # fmt: skip
    """Load the rows of some steps (CHUNK,), given as int64; steps outside of the sequence are zero."""
    position = length - 1 - step if REVERSE else step
    inside = ((step >= 0) & (step < length))[:, None] & (lanes < width)[None, :]
    at = batch * batch_stride + position[:, None] * row_stride + lanes[None, :] * lane_stride
    return tl.load(pointer + at, mask=inside, other=0.0)


@triton.jit
def transitions(
    a_re, a_im, ab, al, an, batch, step, length, lanes, width, BACKWARD: tl.constexpr, REVERSE: tl.constexpr,
    COMPLEX: tl.constexpr, TYPE: tl.constexpr
):  # fmt: skip
    """Load a tile of transitions; of the gradient's scan they are conj(a), one step late."""
    if BACKWARD:
        step -= 1
    re = load_steps(a_re, ab, al, an, batch, step, length, lanes, width, REVERSE).to(TYPE)
    im = re
    if COMPLEX:
        im = load_steps(a_im, ab, al, an, batch, step, length, lanes, width, REVERSE).to(TYPE)
        if BACKWARD:
            im = -im
    return re, im


@triton.jit
def inputs(
    b_re, b_im, bb, bl, bn, batch, step, length, lanes, width, REVERSE: tl.constexpr, COMPLEX: tl.constexpr,
    TYPE: tl.constexpr
):  # fmt: skip
    """Load a tile of inputs as two planes; the second is unused for real numbers."""
    re = load_steps(b_re, bb, bl, bn, batch, step, length, lanes, width, REVERSE).to(TYPE)
    im = re
    if COMPLEX:
        im = load_steps(b_im, bb, bl, bn, batch, step, length, lanes, width, REVERSE).to(TYPE)
    return re, im


@triton.jit
def program_place(CHUNK: tl.constexpr, LANES: tl.constexpr):
    """Return what this program computes: chunk, steps (CHUNK,), lanes (LANES,), and sequence of the batch."""
    chunk = tl.program_id(0).to(tl.int64)
    lanes = tl.program_id(1) * LANES + tl.arange(0, LANES)
    return chunk, chunk * CHUNK + tl.arange(0, CHUNK), lanes, tl.program_id(2).to(tl.int64)


@triton.jit
def add_start(ar, ai, br, bi, s_re, s_im, COMPLEX: tl.constexpr, CHUNK: tl.constexpr):
    """Start the first row of a tile from a state (LANES,): b_1 ← b_1 + a_1 s."""
    first = tl.arange(0, CHUNK)[:, None] == 0
    s_re, s_im = s_re[None, :], s_im[None, :]
    if COMPLEX:
        bi = tl.where(first, bi + ar * s_im + ai * s_re, bi)
        br = tl.where(first, br + ar * s_re - ai * s_im, br)
    else:
        br = tl.where(first, br + ar * s_re, br)
    return br, bi


@triton.jit
def summary_kernel(
    a_re, a_im, ab, al, an, b_re, b_im, bb, bl, bn, p_re, p_im, e_re, e_im, length, width, BACKWARD: tl.constexpr,
    REVERSE: tl.constexpr, COMPLEX: tl.constexpr, CHUNK: tl.constexpr, LANES: tl.constexpr
):  # fmt: skip
    """Write the product of the transitions of each full chunk, and its last state from a zero start: (B, chunks, N)."""
    chunk, step, lanes, batch = program_place(CHUNK, LANES)
    TYPE: tl.constexpr = e_re.dtype.element_ty
    ar, ai = transitions(a_re, a_im, ab, al, an, batch, step, length, lanes, width, BACKWARD, REVERSE, COMPLEX, TYPE)
    br, bi = inputs(b_re, b_im, bb, bl, bn, batch, step, length, lanes, width, REVERSE, COMPLEX, TYPE)
    ar, ai, br, bi = scan_tile(ar, ai, br, bi, COMPLEX)
    at = (batch * tl.num_programs(0) + chunk) * width + lanes
    inside = lanes < width
    tl.store(p_re + at, last_row(ar, CHUNK), mask=inside)
    tl.store(e_re + at, last_row(br, CHUNK), mask=inside)
    if COMPLEX:
        tl.store(p_im + at, last_row(ai, CHUNK), mask=inside)
        tl.store(e_im + at, last_row(bi, CHUNK), mask=inside)


@triton.jit
def load_start(
    c_re, c_im, h_re, h_im, chunk, lanes, batch, width, HAS_START: tl.constexpr, COMPLEX: tl.constexpr,
    TYPE: tl.constexpr
):  # fmt: skip
    """Load the state before a chunk (LANES,): the one after the chunk before it, or the initial one, or zero."""
    later, initial = lanes < tl.where(chunk > 0, width, 0), lanes < tl.where(chunk == 0, width, 0)
    before = (batch * (tl.num_programs(0) - 1) + chunk - 1) * width + lanes
    re = tl.load(c_re + before, mask=later, other=0.0).to(TYPE)
    if HAS_START:
        re += tl.load(h_re + batch * width + lanes, mask=initial, other=0.0).to(TYPE)
    im = re
    if COMPLEX:
        im = tl.load(c_im + before, mask=later, other=0.0).to(TYPE)
        if HAS_START:
            im += tl.load(h_im + batch * width + lanes, mask=initial, other=0.0).to(TYPE)
    return re, im


@triton.jit
def states_kernel(
    a_re, a_im, ab, al, an, b_re, b_im, bb, bl, bn, c_re, c_im, h_re, h_im, out_re, out_im, length, width,
    HAS_START: tl.constexpr, REVERSE: tl.constexpr, COMPLEX: tl.constexpr, CHUNK: tl.constexpr,
    LANES: tl.constexpr
):  # fmt: skip
    """Write the states of each chunk, (B, L, N) contiguous, from the states `c` after all chunks but the last."""
    chunk, step, lanes, batch = program_place(CHUNK, LANES)
    TYPE: tl.constexpr = out_re.dtype.element_ty
    ar, ai = transitions(a_re, a_im, ab, al, an, batch, step, length, lanes, width, False, REVERSE, COMPLEX, TYPE)
    br, bi = inputs(b_re, b_im, bb, bl, bn, batch, step, length, lanes, width, REVERSE, COMPLEX, TYPE)
    s_re, s_im = load_start(c_re, c_im, h_re, h_im, chunk, lanes, batch, width, HAS_START, COMPLEX, TYPE)
    br, bi = add_start(ar, ai, br, bi, s_re, s_im, COMPLEX, CHUNK)
    ar, ai, br, bi = scan_tile(ar, ai, br, bi, COMPLEX)
    position = length - 1 - step if REVERSE else step
    at = (batch * length + position[:, None]) * width + lanes[None, :]
    inside = (step < length)[:, None] & (lanes < width)[None, :]
    tl.store(out_re + at, br, mask=inside)
    if COMPLEX:
        tl.store(out_im + at, bi, mask=inside)


@triton.jit
def gradients_kernel(
    a_re, a_im, ab, al, an, g_re, g_im, gb, gl, gn, s_re, s_im, c_re, c_im, h_re, h_im, da_re, da_im, db_re,
    db_im, length, width, HAS_START: tl.constexpr, REVERSE: tl.constexpr, COMPLEX: tl.constexpr,
    CHUNK: tl.constexpr, LANES: tl.constexpr
):  # fmt: skip
    """Write ∂a = g conj(h_{k-1}) and ∂b = g, both (B, L, N), where g accumulates against the forward scan.

    Steps and REVERSE are those of the gradient's scan; `s` are the states of the forward one, `c` those of the
    gradient's after all chunks but the last, `h` the initial state of the forward scan.
    """
    chunk, step, lanes, batch = program_place(CHUNK, LANES)
    TYPE: tl.constexpr = c_re.dtype.element_ty
    ar, ai = transitions(a_re, a_im, ab, al, an, batch, step, length, lanes, width, True, REVERSE, COMPLEX, TYPE)
    br, bi = inputs(g_re, g_im, gb, gl, gn, batch, step, length, lanes, width, REVERSE, COMPLEX, TYPE)
    start_re, start_im = load_start(c_re, c_im, h_re, h_im, chunk, lanes, batch, width, False, COMPLEX, TYPE)
    br, bi = add_start(ar, ai, br, bi, start_re, start_im, COMPLEX, CHUNK)
    ar, ai, br, bi = scan_tile(ar, ai, br, bi, COMPLEX)

    # The forward step before this one is the next of this scan; before the first forward step stands h_0.
    sr, si = inputs(s_re, s_im, length * width, width, 1, batch, step + 1, length, lanes, width, REVERSE, COMPLEX, TYPE)
    inside = (step < length)[:, None] & (lanes < width)[None, :]
    if HAS_START:
        initial = inside & (step == length - 1)[:, None]
        at_start = batch * width + lanes[None, :] + tl.zeros((CHUNK, 1), tl.int64)
        sr += tl.load(h_re + at_start, mask=initial, other=0.0).to(TYPE)
        if COMPLEX:
            si += tl.load(h_im + at_start, mask=initial, other=0.0).to(TYPE)
    position = length - 1 - step if REVERSE else step
    at = (batch * length + position[:, None]) * width + lanes[None, :]
    tl.store(db_re + at, br, mask=inside)
    if COMPLEX:
        tl.store(db_im + at, bi, mask=inside)
        tl.store(da_re + at, br * sr + bi * si, mask=inside)
        tl.store(da_im + at, bi * sr - br * si, mask=inside)
    else:
        tl.store(da_re + at, br * sr, mask=inside)

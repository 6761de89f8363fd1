"""GPU kernels of the modulated scan, in Triton; `triton_modulated.py` launches them.

    h_k = (ρ m_k) ⊙ h_{k−1} + M_B,k ⊙ u_k,    y_k = (M_Cre,k ⊙ Re h_k, M_Cim,k ⊙ Im h_k)

Step k of the scan is the token order[k] (k itself without an order), or order[L−1−k] when REVERSE; programs fetch the
rows of their tokens themselves and put y where its token stands. Gates and states live in registers alone. Tensors of
tokens are (B, L, width of a row), rows of any stride; u is (B, L, 2N), M holds M_B, M_Cre, M_Cim as (B, L, 3N).
"""

from __future__ import annotations

import triton
import triton.language as tl

from lsm.scan.triton_kernels import add_start, last_row, load_start, program_place, scan_tile


@triton.jit
def token_rows(order, order_batch, batch, step, length, REVERSE: tl.constexpr, HAS_ORDER: tl.constexpr):
    """Find the tokens of some steps (CHUNK,), as rows of a matrix (B·L, …)."""
    position = length - 1 - step if REVERSE else step
    if HAS_ORDER:
        position = tl.load(order + batch * order_batch + position, mask=(step >= 0) & (step < length), other=0)
    return batch * length + position


@triton.jit
def load_tile(pointer, rows, stride, part, step, length, lanes, width, TYPE: tl.constexpr):
    """Load the N numbers of one part of each row, (CHUNK, LANES); zero for steps outside of the sequence."""
    inside = ((step >= 0) & (step < length))[:, None] & (lanes < width)[None, :]
    return tl.load(pointer + rows[:, None] * stride + part * width + lanes[None, :], mask=inside, other=0.0).to(TYPE)


@triton.jit
def store_tile(pointer, value, rows, stride, part, step, length, lanes, width):
    """Write what `load_tile` would read."""
    inside = ((step >= 0) & (step < length))[:, None] & (lanes < width)[None, :]
    tl.store(pointer + rows[:, None] * stride + part * width + lanes[None, :], value, mask=inside)


@triton.jit
def load_phase(phase, lanes, width, TYPE: tl.constexpr):
    """Load ρ, (2, N), as two rows (1, LANES)."""
    re = tl.load(phase + lanes, mask=lanes < width, other=0.0).to(TYPE)
    im = tl.load(phase + width + lanes, mask=lanes < width, other=0.0).to(TYPE)
    return re[None, :], im[None, :]


@triton.jit
def load_steps(
    u, u_row, m, m_row, gates, gates_row, rho_re, rho_im, rows, step, length, lanes, width, TYPE: tl.constexpr
):  # fmt: skip
    """Form a = ρ m and b = M_B ⊙ u of the steps of a tile, two planes each."""
    decay = load_tile(m, rows, m_row, 0, step, length, lanes, width, TYPE)
    gate = load_tile(gates, rows, gates_row, 0, step, length, lanes, width, TYPE)
    b_re = gate * load_tile(u, rows, u_row, 0, step, length, lanes, width, TYPE)
    b_im = gate * load_tile(u, rows, u_row, 1, step, length, lanes, width, TYPE)
    return rho_re * decay, rho_im * decay, b_re, b_im


@triton.jit
def load_gradient_steps(
    dy, m, m_row, gates, gates_row, rho_re, rho_im, order, order_batch, batch, step, length, lanes, width,
    REVERSE: tl.constexpr, HAS_ORDER: tl.constexpr, TYPE: tl.constexpr
):  # fmt: skip
    """Form conj(a_{k+1}) and ∂h_k = M_C ⊙ ∂y of the steps of a tile, two planes each."""
    rows = token_rows(order, order_batch, batch, step, length, REVERSE, HAS_ORDER)
    after = token_rows(order, order_batch, batch, step + 1, length, REVERSE, HAS_ORDER)
    decay = load_tile(m, after, m_row, 0, step + 1, length, lanes, width, TYPE)
    b_re = load_tile(dy, rows, 2 * width, 0, step, length, lanes, width, TYPE)
    b_im = load_tile(dy, rows, 2 * width, 1, step, length, lanes, width, TYPE)
    b_re *= load_tile(gates, rows, gates_row, 1, step, length, lanes, width, TYPE)
    b_im *= load_tile(gates, rows, gates_row, 2, step, length, lanes, width, TYPE)
    return rho_re * decay, -rho_im * decay, b_re, b_im


@triton.jit
def store_summary(ar, ai, br, bi, p_re, p_im, e_re, e_im, batch, lanes, width, CHUNK: tl.constexpr):
    """Write the last rows of a scanned tile, products and states, as entry of this program: (B, programs, N)."""
    at = (batch * tl.num_programs(0) + tl.program_id(0)) * width + lanes
    tl.store(p_re + at, last_row(ar, CHUNK), mask=lanes < width)
    tl.store(p_im + at, last_row(ai, CHUNK), mask=lanes < width)
    tl.store(e_re + at, last_row(br, CHUNK), mask=lanes < width)
    tl.store(e_im + at, last_row(bi, CHUNK), mask=lanes < width)


@triton.jit
def summary_kernel(
    u, u_row, m, m_row, gates, gates_row, phase, order, order_batch, p_re, p_im, e_re, e_im, length, width,
    HAS_ORDER: tl.constexpr, REVERSE: tl.constexpr, CHUNK: tl.constexpr, LANES: tl.constexpr
):  # fmt: skip
    """Write the product of the transitions of each chunk but the last, and its last state from a zero start."""
    _, step, lanes, batch = program_place(CHUNK, LANES)
    TYPE: tl.constexpr = e_re.dtype.element_ty
    rho_re, rho_im = load_phase(phase, lanes, width, TYPE)
    rows = token_rows(order, order_batch, batch, step, length, REVERSE, HAS_ORDER)
    ar, ai, br, bi = load_steps(
        u, u_row, m, m_row, gates, gates_row, rho_re, rho_im, rows, step, length, lanes, width, TYPE
    )
    ar, ai, br, bi = scan_tile(ar, ai, br, bi, True)
    store_summary(ar, ai, br, bi, p_re, p_im, e_re, e_im, batch, lanes, width, CHUNK)


@triton.jit
def output_kernel(
    u, u_row, m, m_row, gates, gates_row, phase, order, order_batch, c_re, c_im, y, length, width,
    HAS_ORDER: tl.constexpr, REVERSE: tl.constexpr, CHUNK: tl.constexpr, LANES: tl.constexpr
):  # fmt: skip
    """Write y, (B, L, 2N) contiguous, from the states `c` after all chunks but the last."""
    chunk, step, lanes, batch = program_place(CHUNK, LANES)
    TYPE: tl.constexpr = c_re.dtype.element_ty
    rho_re, rho_im = load_phase(phase, lanes, width, TYPE)
    rows = token_rows(order, order_batch, batch, step, length, REVERSE, HAS_ORDER)
    ar, ai, br, bi = load_steps(
        u, u_row, m, m_row, gates, gates_row, rho_re, rho_im, rows, step, length, lanes, width, TYPE
    )
    s_re, s_im = load_start(c_re, c_im, c_re, c_im, chunk, lanes, batch, width, False, True, TYPE)
    br, bi = add_start(ar, ai, br, bi, s_re, s_im, True, CHUNK)
    ar, ai, br, bi = scan_tile(ar, ai, br, bi, True)
    br *= load_tile(gates, rows, gates_row, 1, step, length, lanes, width, TYPE)
    bi *= load_tile(gates, rows, gates_row, 2, step, length, lanes, width, TYPE)
    store_tile(y, br, rows, 2 * width, 0, step, length, lanes, width)
    store_tile(y, bi, rows, 2 * width, 1, step, length, lanes, width)


@triton.jit
def gradient_summary_kernel(
    dy, m, m_row, gates, gates_row, phase, order, order_batch, p_re, p_im, e_re, e_im, length, width,
    HAS_ORDER: tl.constexpr, REVERSE: tl.constexpr, CHUNK: tl.constexpr, LANES: tl.constexpr
):  # fmt: skip
    """Summarise each chunk but the first for the scan of the gradient, which runs from its last step to its first."""
    chunk, step, lanes, batch = program_place(CHUNK, LANES)
    step = (chunk + 2) * CHUNK - 1 - tl.arange(0, CHUNK)
    TYPE: tl.constexpr = e_re.dtype.element_ty
    rho_re, rho_im = load_phase(phase, lanes, width, TYPE)
    ar, ai, br, bi = load_gradient_steps(
        dy, m, m_row, gates, gates_row, rho_re, rho_im, order, order_batch, batch, step, length, lanes, width,
        REVERSE, HAS_ORDER, TYPE,
    )  # fmt: skip
    ar, ai, br, bi = scan_tile(ar, ai, br, bi, True)
    store_summary(ar, ai, br, bi, p_re, p_im, e_re, e_im, batch, lanes, width, CHUNK)


@triton.jit
def gradient_tile(
    dy, m, m_row, gates, gates_row, rho_re, rho_im, order, order_batch, g_re, g_im, chunk, batch, length, lanes, width,
    REVERSE: tl.constexpr, HAS_ORDER: tl.constexpr, CHUNK: tl.constexpr, LANES: tl.constexpr, TYPE: tl.constexpr
):  # fmt: skip
    """Accumulate g_k = ∂h_k + conj(a_{k+1}) g_{k+1} over a chunk; rows of the result ascend with k again.

    `g` holds g at the first step of each chunk but the first, (B, chunks − 1, N).
    """
    step = (chunk + 1) * CHUNK - 1 - tl.arange(0, CHUNK)
    ar, ai, br, bi = load_gradient_steps(
        dy, m, m_row, gates, gates_row, rho_re, rho_im, order, order_batch, batch, step, length, lanes, width,
        REVERSE, HAS_ORDER, TYPE,
    )  # fmt: skip
    chunks = tl.num_programs(0)
    at = (batch * (chunks - 1) + chunk) * width + lanes
    inside = lanes < tl.where(chunk < chunks - 1, width, 0)
    start_re, start_im = tl.load(g_re + at, mask=inside, other=0.0), tl.load(g_im + at, mask=inside, other=0.0)
    br, bi = add_start(ar, ai, br, bi, start_re, start_im, True, CHUNK)
    ar, ai, br, bi = scan_tile(ar, ai, br, bi, True)
    upside_down = (CHUNK - 1 - tl.arange(0, CHUNK))[:, None] + tl.zeros((1, LANES), tl.int32)
    return tl.gather(br, upside_down, 0), tl.gather(bi, upside_down, 0)


@triton.jit
def previous_states(
    u, u_row, m, m_row, gates, gates_row, rho_re, rho_im, order, order_batch, c_re, c_im, chunk, batch, step, length,
    lanes, width, REVERSE: tl.constexpr, HAS_ORDER: tl.constexpr, CHUNK: tl.constexpr, TYPE: tl.constexpr
):  # fmt: skip
    """Compute h_{k−1} for the steps k of a chunk: its scan one step late, the first row being the state before it."""
    rows = token_rows(order, order_batch, batch, step - 1, length, REVERSE, HAS_ORDER)
    ar, ai, br, bi = load_steps(
        u, u_row, m, m_row, gates, gates_row, rho_re, rho_im, rows, step - 1, length, lanes, width, TYPE
    )
    s_re, s_im = load_start(c_re, c_im, c_re, c_im, chunk, lanes, batch, width, False, True, TYPE)
    first = tl.arange(0, CHUNK)[:, None] == 0
    br, bi = tl.where(first, s_re[None, :], br), tl.where(first, s_im[None, :], bi)
    ar, ai, br, bi = scan_tile(ar, ai, br, bi, True)
    return br, bi


@triton.jit
def gradients_kernel(
    dy, u, u_row, m, m_row, gates, gates_row, phase, order, order_batch, c_re, c_im, g_re, g_im, du, dm, dgates,
    dphase, length, width,
    HAS_ORDER: tl.constexpr, REVERSE: tl.constexpr, CHUNK: tl.constexpr, LANES: tl.constexpr
):  # fmt: skip
    """Recompute the states of a chunk, and write all gradients; that of ρ as one term a program, (B, chunks, 2, N)."""
    chunk, step, lanes, batch = program_place(CHUNK, LANES)
    TYPE: tl.constexpr = c_re.dtype.element_ty
    rho_re, rho_im = load_phase(phase, lanes, width, TYPE)
    gr, gi = gradient_tile(
        dy, m, m_row, gates, gates_row, rho_re, rho_im, order, order_batch, g_re, g_im, chunk, batch, length, lanes,
        width, REVERSE, HAS_ORDER, CHUNK, LANES, TYPE,
    )  # fmt: skip
    hr, hi = previous_states(
        u, u_row, m, m_row, gates, gates_row, rho_re, rho_im, order, order_batch, c_re, c_im, chunk, batch, step,
        length, lanes, width, REVERSE, HAS_ORDER, CHUNK, TYPE,
    )  # fmt: skip
    rows = token_rows(order, order_batch, batch, step, length, REVERSE, HAS_ORDER)

    decay = load_tile(m, rows, m_row, 0, step, length, lanes, width, TYPE)
    da_re, da_im = gr * hr + gi * hi, gi * hr - gr * hi
    store_tile(dm, rho_re * da_re + rho_im * da_im, rows, width, 0, step, length, lanes, width)
    at = (batch * tl.num_programs(0) + chunk) * 2 * width + lanes
    tl.store(dphase + at, tl.sum(decay * da_re, axis=0), mask=lanes < width)
    tl.store(dphase + at + width, tl.sum(decay * da_im, axis=0), mask=lanes < width)

    ur = load_tile(u, rows, u_row, 0, step, length, lanes, width, TYPE)
    ui = load_tile(u, rows, u_row, 1, step, length, lanes, width, TYPE)
    gate = load_tile(gates, rows, gates_row, 0, step, length, lanes, width, TYPE)
    store_tile(du, gate * gr, rows, 2 * width, 0, step, length, lanes, width)
    store_tile(du, gate * gi, rows, 2 * width, 1, step, length, lanes, width)
    store_tile(dgates, ur * gr + ui * gi, rows, 3 * width, 0, step, length, lanes, width)

    ar, ai = rho_re * decay, rho_im * decay
    now_re, now_im = ar * hr - ai * hi + gate * ur, ar * hi + ai * hr + gate * ui
    now_re *= load_tile(dy, rows, 2 * width, 0, step, length, lanes, width, TYPE)
    now_im *= load_tile(dy, rows, 2 * width, 1, step, length, lanes, width, TYPE)
    store_tile(dgates, now_re, rows, 3 * width, 1, step, length, lanes, width)
    store_tile(dgates, now_im, rows, 3 * width, 2, step, length, lanes, width)

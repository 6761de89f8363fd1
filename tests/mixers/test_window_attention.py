import copy
import math

import pytest
import torch

from lsm.mixers.window_attention import WindowAttention, padded_depth


def offset_bias(module, half, dy, dx):
    """The dynamic position bias of one offset, written out."""
    mlp = module.bias[half]
    value = mlp.project.weight @ torch.tensor([dy, dx], dtype=torch.float64) + mlp.project.bias
    for norm, _, linear in mlp.layers:
        centred = value - value.mean()
        value = centred / torch.sqrt(centred.square().mean() + 1e-5) * norm.weight + norm.bias
        value = linear.weight @ value.clamp_min(0) + linear.bias
    return value


def slow_attention(module, tokens, size, split, shifted):
    """Token by token: which tokens share a window is decided from coordinates, not by rolling and reshaping."""
    (height, width), (_, dim) = size, tokens.shape
    q, k, v = (tokens @ module.qkv.weight.T + module.qkv.bias).view(height, width, 3, dim).unbind(2)
    local = module.local(v.permute(2, 0, 1)[None])[0].permute(1, 2, 0)
    out = torch.zeros(height, width, dim, dtype=torch.float64)
    multiple, heads = max(split), module.heads
    rows, columns = (math.ceil(side / multiple) * multiple for side in size)
    depth = dim // 2 // heads
    for half, (h, w) in enumerate((split, split[::-1])):
        sy, sx = (h // 2, w // 2) if shifted else (0, 0)
        for y in range(height):
            for x in range(width):
                ry, rx = (y - sy) % rows, (x - sx) % columns
                for head in range(heads):
                    channels = slice(half * dim // 2 + head * depth, half * dim // 2 + (head + 1) * depth)
                    scores, values = [], []
                    for wy in range(ry // h * h, ry // h * h + h):
                        for wx in range(rx // w * w, rx // w * w + w):
                            oy, ox = (wy + sy) % rows, (wx + sx) % columns
                            inside = oy < height and ox < width
                            key = k[oy, ox, channels] if inside else torch.zeros(depth, dtype=torch.float64)
                            bias = offset_bias(module, half, ry - wy, rx - wx)[head]
                            apart = shifted and ((wy + sy >= rows) != (ry + sy >= rows) or (wx + sx >= columns) != (
                                rx + sx >= columns))  # fmt: skip
                            scores.append(q[y, x, channels] @ key / math.sqrt(depth) + bias - 100 * apart)
                            values.append(v[oy, ox, channels] if inside else torch.zeros(depth, dtype=torch.float64))
                    out[y, x, channels] = torch.stack(scores).softmax(0) @ torch.stack(values)
    mixed = (out + local).view(height * width, dim)
    return mixed @ module.proj.weight.T + module.proj.bias


@pytest.mark.parametrize("shifted", [False, True])
@pytest.mark.parametrize("size", [(4, 8), (5, 3), (9, 6)])
def test_windows_bias_shift_and_padding_against_a_slow_twin(shifted, size):
    split = (2, 4)
    module = WindowAttention(32, num_heads=4, split_size=split, shifted=shifted, pos_dim=3).double()
    for parameter in module.parameters():
        parameter.data.normal_(std=0.5)
    tokens = torch.randn(size[0] * size[1], 32, dtype=torch.float64)
    with torch.no_grad():
        expected = slow_attention(module, tokens, size, split, shifted)
        actual = module(tokens[None], size)[0]
    assert (actual - expected).abs().max() < 1e-10


@pytest.mark.parametrize("shifted", [False, True])
def test_training_and_inference_paths_agree(shifted):
    module = WindowAttention(24, num_heads=4, split_size=(4, 8), shifted=shifted, pos_dim=4)
    tokens = torch.randn(2, 20 * 11, 24)
    training = module(tokens, (20, 11))
    with torch.no_grad():
        inference = module(tokens, (20, 11))
    assert (training - inference).abs().max() < 1e-5


def test_a_module_built_in_inference_mode_runs():
    with torch.inference_mode():
        module = WindowAttention(24, num_heads=4, split_size=(4, 8), shifted=False, pos_dim=4)
        assert module(torch.randn(1, 64, 24), (8, 8)).isfinite().all()


def test_cached_bias_follows_its_parameters():
    module = WindowAttention(24, num_heads=4, split_size=(4, 8), shifted=False, pos_dim=4)
    tokens = torch.randn(1, 64, 24)
    with torch.no_grad():
        before = module(tokens, (8, 8))
        assert torch.equal(module(tokens, (8, 8)), before)
        module.bias[0].layers[2][2].weight.normal_()
        changed = module(tokens, (8, 8))
    assert not torch.equal(before, changed)
    assert (module(tokens, (8, 8)) - changed).abs().max() < 1e-5


@pytest.mark.parametrize("size", [(2, 2), (3, 2), (2, 3), (1, 5)])
@pytest.mark.parametrize("shifted", [False, True])
def test_gradients_with_and_without_padding(size, shifted):
    module = WindowAttention(4, num_heads=2, split_size=(1, 2), shifted=shifted, pos_dim=2).double()
    tokens = torch.randn(2, size[0] * size[1], 4).double().requires_grad_()
    assert torch.autograd.gradcheck(lambda x: module(x, size), (tokens,), fast_mode=True)


def test_training_after_inference_at_the_same_size():
    """What the first run keeps for a size must be fit for gradients."""
    module = WindowAttention(24, num_heads=4, split_size=(3, 6), shifted=True, pos_dim=4)
    tokens = torch.randn(1, 7 * 11, 24)
    with torch.inference_mode():
        expected = module(tokens, (7, 11))
    result = module(tokens, (7, 11))
    result.sum().backward()
    assert (result - expected).abs().max() < 1e-5
    assert all(parameter.grad is not None for parameter in module.parameters())


@pytest.mark.parametrize(("depth", "padded"), [(15, 16), (30, 32), (45, 48), (24, 24), (16, 16), (3, 3)])
def test_heads_are_padded_where_that_is_cheap(depth, padded):
    assert padded_depth(depth) == padded


@pytest.mark.parametrize("shifted", [False, True])
def test_padded_heads_against_plain_ones(shifted):
    """The same outputs and gradients as without padding, in float32."""
    module = WindowAttention(60, num_heads=4, split_size=(4, 8), shifted=shifted, pos_dim=2)
    plain = copy.deepcopy(module)
    plain.padded_depth = plain.depth
    tokens = torch.randn(2, 9 * 13, 60)
    results = []
    for each in (module, plain):
        inputs = tokens.clone().requires_grad_()
        result = each(inputs, (9, 13))
        result.square().sum().backward()
        with torch.no_grad():
            inference = each(tokens, (9, 13))
        results.append([result.detach(), inference, inputs.grad, *(parameter.grad for parameter in each.parameters())])
    for found, expected in zip(*results, strict=True):
        assert (found - expected).abs().max() < 1e-4 * max(1, expected.abs().max())


def test_compiles_into_one_graph():
    module = WindowAttention(30, num_heads=2, split_size=(2, 4), shifted=True, pos_dim=2).eval()
    tokens = torch.randn(1, 35, 30)
    with torch.no_grad():
        compiled = torch.compile(module, backend="eager", fullgraph=True)
        assert torch.equal(compiled(tokens, (5, 7)), module(tokens, (5, 7)))


def test_the_bias_that_is_kept_has_full_precision():
    module = WindowAttention(24, num_heads=4, split_size=(4, 8), shifted=True, pos_dim=4)
    with torch.no_grad():
        expected = [bias.clone() for bias in module.bias[0]._compute()]
        with torch.autocast("cpu", torch.bfloat16):
            module(torch.randn(1, 64, 24), (8, 8))
        assert all(map(torch.equal, module.bias[0](), expected))

from spandrel.architectures.LSM import LSM, LSMArch

from .util import (
    assert_loads_correctly,
    assert_size_requirements,
    assert_training,
    skip_if_unchanged,
)

skip_if_unchanged(__file__)


def test_load():
    assert_loads_correctly(
        LSMArch(),
        lambda: LSM(),
        lambda: LSM(in_chans=1),
        lambda: LSM(embed_dim=48, num_heads=2),
        lambda: LSM(depths=(2, 3, 5)),
        lambda: LSM(depths=(2,), mlp_ratio=2.0),
        lambda: LSM(depths=(2,), d_state=8, num_tokens=32),
        lambda: LSM(depths=(2,), split_size=(4, 16)),
        lambda: LSM(depths=(2,), split_size=(16, 4)),
        lambda: LSM(depths=(2,), upsampler="pixelshuffledirect", upscale=2),
        lambda: LSM(depths=(2,), upsampler="pixelshuffledirect", upscale=3),
        lambda: LSM(depths=(2,), upsampler="pixelshuffledirect", upscale=4),
        lambda: LSM(depths=(2,), upsampler="pixelshuffle", upscale=2),
        lambda: LSM(depths=(2,), upsampler="pixelshuffle", upscale=3),
        lambda: LSM(depths=(2,), upsampler="pixelshuffle", upscale=4),
        lambda: LSM(depths=(2,), upsampler="pixelshuffle", upscale=8),
    )


def test_size_requirements():
    assert_size_requirements(LSMArch().load(LSM(depths=(2, 2)).state_dict()))


def test_train():
    assert_training(LSMArch(), LSM(depths=(2, 2)))

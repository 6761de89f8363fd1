import pytest
from mixer_plan import SMALLER

from lsm.arch.budget import count_parameters, match_parameters
from lsm.arch.presets import preset_config
from lsm.errors import OptionError


@pytest.mark.parametrize("name", ["lru", "fnet", "gfnet", "wavelet", "performer", "spectral-conv", "fno-block"])
def test_equal_parameters(name):
    target = count_parameters(preset_config("tiny", 4))
    config = match_parameters(preset_config("tiny", 4, mixer=name, mixer_options=SMALLER.get(name, {})), target)
    assert abs(count_parameters(config) / target - 1) < 0.005
    assert config.mlp_ratio == 1.0 and config.mixer_mlp_ratio > 0


def test_too_large_a_mixer_is_refused():
    with pytest.raises(OptionError, match="mixer_options that make it smaller"):
        match_parameters(preset_config("tiny", 4, mixer="fno", mixer_options={"modes": 8}), 200_000)

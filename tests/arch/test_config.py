import json

import pytest

from lsm.arch import PRESETS, LSMConfig, preset_config
from lsm.errors import OptionError


@pytest.mark.parametrize("variant", PRESETS)
def test_configurations_survive_json(variant):
    config = preset_config(variant, 3, "paper", scan_order="cross-hilbert")
    assert LSMConfig.from_dict(json.loads(json.dumps(config.to_dict()))) == config


@pytest.mark.parametrize(
    ("variant", "scale", "overrides", "message"),
    [
        ("lite", 4, {}, "light"),
        ("light", 5, {}, "upscale"),
        ("light", 8, {}, "upscale"),
        ("light", 4, {"embed_dmi": 60}, "embed_dim"),
        ("light", 4, {"embed_dim": "60"}, "embed_dim"),
        ("light", 4, {"embed_dim": True}, "embed_dim"),
        ("light", 4, {"embed_dim": 61}, "multiple"),
        ("light", 4, {"num_tokens": 63}, "4 × d_state"),
        ("light", 4, {"depths": 6}, "list"),
        ("light", 4, {"depths": []}, "depths"),
        ("light", 4, {"split_size": [8]}, "split_size"),
        ("light", 4, {"recurrence": "papr"}, "paper"),
        ("light", 4, {"scan_order": "hilbrt"}, "hilbert"),
        ("light", 4, {"r_min": 0.99, "r_max": 0.9}, "r_min"),
        ("light", 4, {"temperature": 0.0}, "temperature"),
        ("light", 4, {"embed_dim": 0}, "LSM cannot be built"),
        ("light", 4, {"embed_dim": 2**53 + 1}, "embed_dim of LSM is too large"),
        ("light", 4, {"mlp_ratio": 10**400}, "mlp_ratio of LSM is too large"),
    ],
)
def test_bad_values_are_named(variant, scale, overrides, message):
    with pytest.raises(OptionError, match=message):
        preset_config(variant, scale, **overrides)


def test_integers_are_accepted_where_a_number_is_meant():
    assert preset_config("light", 4, mlp_ratio=2).mlp_ratio == 2

import dataclasses
import json

import pytest

from lsm.arch import PRESETS, LSMConfig, preset_config
from lsm.arch.config import RecurrenceConfig, with_recurrence
from lsm.errors import OptionError


@pytest.mark.parametrize("variant", PRESETS)
def test_configurations_survive_json(variant):
    config = preset_config(variant, 3, {"scan_order": "cross-hilbert"})
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
        ("light", 4, {"depths": 6}, "list"),
        ("light", 4, {"depths": []}, "depths"),
        ("light", 4, {"split_size": [8]}, "split_size"),
        ("light", 4, {"recurrence": "papr"}, "paper"),
        ("light", 4, {"recurrence": 3}, "name or a mapping"),
        ("light", 4, {"recurrence": {"mode": "papr"}}, "paper"),
        ("light", 4, {"recurrence": {"mod": "paper"}}, "Did you mean 'mode'"),
        ("light", 4, {"recurrence": {"scan_order": "hilbrt"}}, "hilbert"),
        ("light", 4, {"recurrence": {"transition": "gat"}}, "Did you mean 'gate'"),
        ("light", 4, {"recurrence": {"r_min": 0.99, "r_max": 0.9}}, "r_min"),
        ("light", 4, {"recurrence": {"temperature": 0.0}}, "temperature"),
        ("light", 4, {"recurrence": {"temperature": "1"}}, "temperature of recurrence must be of type float"),
        (
            "light",
            4,
            {"recurrence": {"mode": "official", "scan_order": "raster"}},
            "official recurrence has the paper's",
        ),
        ("light", 4, {"scan_order": "hilbert"}, "write recurrence: {scan_order"),
        ("light", 4, {"split_size": [8, 12]}, "do not divide one another"),
        ("light", 4, {"split_size": [13, 7]}, "do not divide one another"),
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


def test_a_recurrence_has_three_spellings():
    """A name, a mapping over the preset's own details, and a configuration that is taken as it is."""
    named, mapped = (
        preset_config("tiny", 4, "gated"),
        preset_config("tiny", 4, {"mode": "gated", "scan_order": "hilbert"}),
    )
    assert (named.recurrence.transition, named.recurrence.scan_order) == ("gate", "cross")
    assert mapped.recurrence == dataclasses.replace(named.recurrence, scan_order="hilbert")
    assert named.recurrence.categories == "argmax" and RecurrenceConfig("gated").categories == "gumbel"
    own = RecurrenceConfig("gated", temperature=0.5)
    assert preset_config("tiny", 4, own).recurrence is own
    assert LSMConfig(recurrence="gated").recurrence == RecurrenceConfig("gated")


def test_another_mode_takes_what_follows_from_it_and_leaves_the_rest():
    config = preset_config("tiny", 4, {"mode": "gated", "r_max": 0.95})
    paper = with_recurrence(config, "paper")
    assert paper.recurrence == RecurrenceConfig("paper", categories="argmax", r_max=0.95)
    assert with_recurrence(paper, "gated") == config
    with pytest.raises(OptionError, match="Did you mean 'gated'"):
        with_recurrence(config, "gate")

import pytest
import yaml

from lsm.ablation.plan import list_runs, merge, read_plan
from lsm.errors import OptionError

OPTIONS = {
    "name": "base",
    "scale": 2,
    "datasets": {"train": {"dataroot_gt": ".", "gt_size": 16, "batch_size": 4}},
    "network_g": {"type": "LSM", "variant": "tiny"},
    "train": {
        "total_iter": 12,
        "optim_g": {"type": "AdamW", "lr": 1e-3},
        "scheduler": {"type": "CosineAnnealingRestartLR", "periods": [12]},
    },
}


@pytest.fixture
def plan_file(tmp_path):
    def write(**changes):
        options = tmp_path / "options.yml"
        options.write_text(yaml.safe_dump(OPTIONS))
        plan = {
            "name": "p",
            "options": str(options),
            "reference": "a",
            "seeds": [3, 4],
            "common": {"train": {"total_iter": 8}},
            "variants": {
                "a": {},
                "b": {"network_g": {"recurrence": {"transition": "none"}}, "train": {"optim_g": {"lr": 0.5}}},
            },
            **changes,
        }
        path = tmp_path / "plan.yml"
        path.write_text(yaml.safe_dump(plan))
        return path

    return write


def test_runs_are_the_option_file_with_what_is_common_and_what_is_the_variants_own(plan_file):
    runs = list_runs(read_plan(plan_file()))
    assert [(run.variant, run.seed) for run in runs] == [("a", 3), ("b", 3), ("a", 4), ("b", 4)]
    last = runs[-1].options
    assert last["train"]["total_iter"] == 8
    assert last["train"]["optim_g"] == {"type": "AdamW", "lr": 0.5}
    assert last["network_g"] == {"type": "LSM", "variant": "tiny", "recurrence": {"transition": "none"}}
    assert (last["name"], last["manual_seed"]) == ("ablate-p-b-s4", 4)
    assert runs[-1].weights.as_posix() == "experiments/ablate-p-b-s4/models/net_g_8.pth"
    assert runs[0].options["network_g"] == OPTIONS["network_g"]


def test_a_section_of_another_type_replaces_the_old_one_whole():
    base = {"scheduler": {"type": "Cosine", "periods": [3]}, "other": {"x": 1}}
    merged = merge(base, {"scheduler": {"type": "Steps", "milestones": [1]}, "other": {"y": 2}})
    assert merged == {"scheduler": {"type": "Steps", "milestones": [1]}, "other": {"x": 1, "y": 2}}
    assert base["other"] == {"x": 1}


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"reference": "c"}, "reference"),
        ({"variants": {}}, "variants"),
        ({"sedes": [1]}, "sedes"),
        ({"name": "a/b"}, "name"),
        ({"options": "nowhere.yml"}, "nowhere.yml"),
    ],
)
def test_mistakes_are_named(plan_file, changes, named):
    with pytest.raises(OptionError, match=named):
        list_runs(read_plan(plan_file(**changes)))


def test_a_missing_plan_is_named(tmp_path):
    with pytest.raises(OptionError, match=r"none\.yml"):
        read_plan(tmp_path / "none.yml")

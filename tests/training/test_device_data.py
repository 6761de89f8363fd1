import random

import numpy as np
import pytest
import torch
from PIL import Image

from lsm.errors import OptionError
from lsm.training import launch
from lsm.training.data import ImagePairs
from lsm.training.device_data import DeviceBatches

SCALE, SIDE = 2, 6


@pytest.fixture
def dataset(tmp_path):
    """Two images of different sizes in which every pixel has a colour of its own."""
    for number, (height, width) in enumerate([(40, 52), (64, 30)]):
        ys, xs = np.mgrid[:height, :width]
        image = np.stack([ys * 3, xs * 4, np.full_like(ys, 200 * number)], axis=2).astype(np.uint8)
        Image.fromarray(image).save(tmp_path / f"{number}.png")
    settings = {"dataroot_gt": str(tmp_path), "scale": SCALE, "phase": "train", "gt_size": SIDE * SCALE}
    return ImagePairs(settings)


def batches(dataset, batch=64, start=0, rank=0, world_size=1, **turns):
    train = {"batch_size": batch, "gt_size": SIDE * SCALE, "use_hflip": True, "use_rot": True, **turns}
    options = {"datasets": {"train": train}, "manual_seed": 5, "train": {"total_iter": 1000}}
    options |= {"rank": rank, "world_size": world_size}
    return iter(DeviceBatches(dataset, options, start, torch.device("cpu")))


def turned(image):
    """All eight orientations of (H, W, C)."""
    return [np.rot90(each, turn) for each in (image, image[:, ::-1]) for turn in range(4)]


def test_patches_are_squares_of_the_pairs_in_one_of_eight_orientations(dataset):
    seen = set()
    for batch in (next(batches(dataset, start=start)) for start in range(4)):
        assert batch["lq"].shape == (64, 3, SIDE, SIDE) and batch["gt"].shape == (64, 3, 12, 12)
        for lq, gt, path in zip(batch["lq"], batch["gt"], batch["gt_path"], strict=True):
            hr = np.rint(gt.permute(1, 2, 0).numpy() * 255).astype(np.uint8)
            lr = np.rint(lq.permute(1, 2, 0).numpy() * 255).astype(np.uint8)
            number = [str(pair.hr) for pair in dataset.pairs].index(path)
            whole_hr, whole_lr = dataset.kept()[number]
            assert (hr[..., 2] == 200 * number).all()
            # The pixels of a true image say where they are; the upper left one is the least in both.
            top, left = int(hr[..., 0].min()) // 3, int(hr[..., 1].min()) // 4
            assert top % SCALE == 0 and left % SCALE == 0
            ways = turned(whole_hr[top : top + 12, left : left + 12])
            way = next(index for index, each in enumerate(ways) if (each == hr).all())
            low = whole_lr[top // SCALE : top // SCALE + SIDE, left // SCALE : left // SCALE + SIDE]
            assert (turned(low)[way] == lr).all()
            seen.add(way)
    assert seen == set(range(8))


def test_without_turns_patches_lie_as_in_the_image(dataset):
    gt = next(batches(dataset, use_hflip=False, use_rot=False))["gt"]
    assert (gt[:, 0].diff(dim=1) > 0).all() and (gt[:, 1].diff(dim=2) > 0).all()


def test_a_resumed_training_sees_the_same_batches(dataset):
    whole = batches(dataset)
    for _ in range(3):
        next(whole)
    assert torch.equal(next(whole)["gt"], next(batches(dataset, start=3))["gt"])
    assert not torch.equal(next(whole)["gt"], next(batches(dataset, start=3))["gt"])


def test_the_processes_share_one_batch(dataset):
    whole = next(batches(dataset))["gt"]
    parts = [next(batches(dataset, rank=rank, world_size=2))["gt"] for rank in range(2)]
    assert torch.equal(torch.cat(parts), whole)


def test_a_teachers_images_are_cut_and_turned_alike(dataset):
    dataset._kept = [(np.concatenate([hr, hr], axis=2), lr) for hr, lr in dataset.kept()]
    batch = next(batches(dataset))
    assert torch.equal(batch["teacher"], batch["gt"])


def test_places_follow_the_importance_as_samples_of_workers_do(tmp_path):
    """One half of the image is flat, of the other bicubic is wrong everywhere."""
    generator = np.random.default_rng(0)
    noise = generator.integers(0, 255, (48, 96, 3)).astype(np.uint8)
    noise[:, :48] = noise[:, :48] // 4 + 96  # errors a quarter of the others'
    Image.fromarray(noise).save(tmp_path / "half.png")
    settings = {"dataroot_gt": str(tmp_path), "scale": SCALE, "phase": "train", "gt_size": SIDE * SCALE}
    dataset = ImagePairs({**settings, "patch_importance": 1.0})
    loader = DeviceBatches(
        dataset,
        {
            "datasets": {"train": {"batch_size": 1, "gt_size": 12, "use_hflip": True, "use_rot": True}},
            **{"manual_seed": 0, "train": {"total_iter": 1}, "rank": 0, "world_size": 1},
        },
        0,
        torch.device("cpu"),
    )
    _, _, lefts = loader.places.draw(20000, torch.Generator().manual_seed(1))
    random.seed(2)
    drawn = np.array([dataset.importance.draw(0)[2] for _ in range(20000)])
    edges = np.linspace(0, 43, 8)
    here, there = (np.histogram(each, edges)[0] / 20000 for each in (lefts.numpy(), drawn))
    assert here[0] < 0.5 * here[-1]
    assert np.abs(here - there).max() < 0.015  # four standard errors of a share near 0.25


def test_a_training_that_stops_and_goes_on_gives_the_weights_of_one_that_does_not(
    tmp_path, content, option_file, monkeypatch
):
    content["datasets"]["train"] |= {"in_memory": "device", "patch_importance": 1.0}
    weights = []
    for folder, stops in (("whole", []), ("stopped", [2])):
        (tmp_path / folder).mkdir()
        monkeypatch.chdir(tmp_path / folder)
        for end in [*stops, 4]:
            launch.train(option_file(content), [f"train:total_iter={end}"], auto_resume=True)
        path = tmp_path / folder / "experiments" / "small" / "models" / "net_g_4.pth"
        weights.append(torch.load(path, weights_only=True)["params"])
    assert all(torch.equal(value, weights[1][name]) for name, value in weights[0].items())


@pytest.mark.parametrize(("where", "changes"), [("train", {"type": "JpegImages", "quality": 10}), ("val", {})])
def test_only_a_training_of_pairs_keeps_images_on_the_device(where, changes, content, option_file):
    section = {"dataroot_gt": content["datasets"]["train"]["dataroot_gt"]} if where == "val" else {}
    content["datasets"].setdefault(where, section).update({"in_memory": "device", **changes})
    with pytest.raises(OptionError, match="in_memory: device is for training by ImagePairs"):
        launch.train(option_file(content))

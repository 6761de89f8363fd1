"""The time to go is said, however long one step takes."""

import pytest
from rich.progress import Task

from lsm.batch.plan import Job
from lsm.batch.run import Callbacks
from lsm.cli import image_run
from lsm.cli.bars import progress_bars


@pytest.mark.parametrize("seconds", [1.0, 45.0, 3600.0])
def test_the_time_to_go_is_known_from_the_second_step_on(seconds: float) -> None:
    now = 0.0
    with progress_bars() as bars:
        bars.get_time = lambda: now
        task = bars.add_task("tiles", total=10)
        for step in range(1, 4):
            now += seconds
            bars.update(task, completed=step)
        assert bars.tasks[0].time_remaining == 7 * seconds


def test_a_folder_has_a_time_to_go_and_each_file_its_own_tiles(
    tmp_path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    now, kept = 0.0, []

    def bars_with_a_clock():
        made = progress_bars()
        enter = made.__enter__

        class Entered:
            def __enter__(self):
                kept.append(enter())
                kept[0].get_time = lambda: now
                return kept[0]

            def __exit__(self, *error):
                return made.__exit__(*error)

        return Entered()

    monkeypatch.setattr(image_run, "progress_bars", bars_with_a_clock)
    jobs = [Job(tmp_path / name, tmp_path / "out" / name) for name in ("a.png", "b.png")]
    with image_run._progress(jobs, "settings", str) as callbacks:
        assert isinstance(callbacks, Callbacks)
        files: Task = kept[0].tasks[0]
        callbacks.started(jobs[0])
        for done in (1, 2, 3, 4):
            now += 50
            callbacks.tile(done, 4)
            tiles: Task = kept[0].tasks[-1]
            assert (tiles.description, tiles.completed, tiles.total) == ("a.png", done, 4)
            if done > 1:
                assert files.time_remaining == (8 - done) * 50
        callbacks.started(jobs[1])
        tiles = kept[0].tasks[-1]
        assert (tiles.description, tiles.completed, tiles.total) == ("b.png", 0, None), "not the tiles of the last file"
        callbacks.finished(jobs[0], "a.png  8×8", True)
        assert files.completed == 1
    said = capfd.readouterr().err.splitlines()
    assert said[:2] == ["settings", "begins with a.png"], "before the first tile"

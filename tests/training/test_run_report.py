"""Curves of a run, and the page of them."""

import json
import re

import pytest
import yaml
from small_training import smooth_image

from lsm.cli import main
from lsm.image.io import write_image
from lsm.training import launch
from lsm.training.curves import CurveWriter, read_curves


def run(*arguments: object) -> int:
    with pytest.raises(SystemExit) as left:
        main(["report", *map(str, arguments)])
    return left.value.code or 0


def page_data(file) -> dict:
    return json.loads(re.search(r'id="data">(.*?)</script>', file.read_text(), re.DOTALL)[1])


@pytest.fixture
def trained(tmp_path, content, option_file, monkeypatch):
    """A training of four iterations with a validation at every second."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "val").mkdir()
    write_image(tmp_path / "val" / "<b>one.png", smooth_image(9, 40, 60))
    content["train"]["total_iter"] = 4
    content["datasets"]["val"] = {"name": "Mine", "dataroot_gt": str(tmp_path / "val")}
    metrics = {"psnr": {"type": "calculate_psnr", "crop_border": 2, "test_y_channel": True}}
    content["val"] = {"val_freq": 2, "save_img": True, "metrics": metrics}
    launch.train(option_file(content))
    return tmp_path / "experiments" / "small"


def test_a_run_keeps_its_curves(trained):
    curves = read_curves(trained)
    assert list(curves.losses["l_pix"]) == [1, 2, 3, 4] and list(curves.metrics["Mine"]["psnr"]) == [2, 4]
    log = next(trained.glob("*.log")).read_text()
    for iteration, loss in curves.losses["l_pix"].items():
        assert f"{iteration}/4  l_pix {loss:.5e}" in log
    assert all(f"# psnr: {value:.4f}" in log for value in curves.metrics["Mine"]["psnr"].values())
    assert curves.rates[1] == pytest.approx(1e-3)


def test_later_lines_count_and_broken_ones_do_not(tmp_path):
    writer = CurveWriter(tmp_path)
    for iteration, loss in ((10, 0.5), (20, 0.4), (30, float("nan")), (20, 0.3)):
        writer.training(iteration, {"l_pix": loss}, 1e-4, 0.1)
    writer.validation(20, "Set5", {"psnr": float("inf"), "ssim": 0.9})
    with (tmp_path / "curves.jsonl").open("a") as file:
        file.write('{"iter": 40, "losses": {"l_p')
    assert read_curves(tmp_path).losses == {"l_pix": {10: 0.5, 20: 0.3}}
    CurveWriter(tmp_path).training(40, {"l_pix": 0.2}, 1e-4, 0.1)  # of the resumed run
    curves = read_curves(tmp_path)
    assert curves.losses == {"l_pix": {10: 0.5, 20: 0.3, 40: 0.2}}
    assert curves.metrics == {"Set5": {"psnr": {}, "ssim": {20: 0.9}}}


def test_the_page_shows_two_runs_in_a_browser(trained, browser, capsys):
    other = trained.parent / "other"
    other.mkdir()
    writer = CurveWriter(other)
    for iteration in (1, 2, 3):
        writer.training(iteration, {"l_pix": 1 / iteration, "l_fft": 0.1}, 1e-4, 0.1)
        writer.validation(iteration, "Mine", {"psnr": 20.0 + iteration % 2})
    kept = {"name": "other", "val": {"metrics": {"psnr": {"better": "lower"}}}}
    (other / "other.yml").write_text(yaml.safe_dump(kept))
    assert run("small", other, "--side", 32) == 0
    file = trained / "report.html"
    assert capsys.readouterr().out.strip().endswith("report.html")
    assert "http" not in file.read_text().replace("http://www.w3.org/2000/svg", "")
    tab, problems = browser.new_page(), []
    tab.on("pageerror", lambda error: problems.append(str(error)))
    tab.on("request", lambda request: None if request.url.startswith(("file:", "data:")) else problems.append(request))
    tab.goto(file.as_uri())
    titles = tab.locator(".chart h3").all_inner_texts()
    assert titles == ["l_pix", "l_fft", "psnr, Mine", "learning rate", "seconds an iteration"]
    assert [tab.locator(".chart").nth(number).locator("polyline").count() for number in range(3)] == [2, 1, 2]
    cells = tab.locator("#runs td").all_inner_texts()
    assert cells[0] == "small" and cells[1] == "4" and cells[3:] == ["other", "3", "20.0000 at 2"]
    assert tab.locator(".strip figcaption").all_inner_texts() == ["2", "4", "true"]
    assert tab.locator(".strip").first.evaluate("box => box.previousSibling.textContent") == "small: <b>one"
    sizes = tab.locator(".strip img").evaluate_all("all => all.map(i => [i.naturalWidth, i.naturalHeight, i.width])")
    assert sizes == [[32, 32, 32]] * 3
    tab.locator("#zoom").fill("2")
    assert tab.locator(".strip img").first.evaluate("image => image.width") == 64
    before = tab.locator("polyline").first.get_attribute("points")
    tab.check("#log")
    assert tab.locator("polyline").first.get_attribute("points") != before
    tab.locator(".chart svg").first.hover()
    assert tab.locator(".reading").first.inner_text().startswith("small: ")
    assert problems == []
    tab.close()


def test_of_many_validations_the_first_and_last_and_some_between_are_shown(tmp_path, capsys):
    (tmp_path / "run").mkdir()
    CurveWriter(tmp_path / "run").validation(2000, "A", {"psnr": 20.0})
    folder = tmp_path / "run" / "visualization" / "A" / "im"
    folder.mkdir(parents=True)
    for number in range(1, 41):
        write_image(folder / f"im_{number * 100}.png", smooth_image(1, 8, 8))
    assert run(tmp_path / "run", "-o", tmp_path / "page" / "a.html") == 0
    (strip,) = page_data(tmp_path / "page" / "a.html")["images"]
    captions = [shot["caption"] for shot in strip["shots"]]
    assert len(captions) == 10 and captions[0] == "100" and captions[-1] == "4,000"
    assert run(tmp_path / "run", "-o", tmp_path / "b.html", "--images", 0) == 0
    assert page_data(tmp_path / "b.html")["images"] == []


def test_a_folder_without_curves_is_named(tmp_path, capsys):
    assert run(tmp_path / "none") == 2
    assert "none: holds no curves (curves.jsonl) of a training" in capsys.readouterr().err

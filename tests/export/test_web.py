"""What the exported page takes from npm's package, and what is refused; the page itself is in test_web_page.py."""

import io
import json
import tarfile

import pytest

from lsm.errors import OptionError
from lsm.export.web import PAGE, export_web, read_runtime

WASM = ("ort.wasm.min.mjs", "ort-wasm-simd-threaded.mjs", "ort-wasm-simd-threaded.wasm")
WEBGPU = ("ort.webgpu.min.mjs", "ort-wasm-simd-threaded.asyncify.mjs", "ort-wasm-simd-threaded.asyncify.wasm")


def as_folder(path, names):
    (path / "dist").mkdir(parents=True)
    for name in names:
        (path / "dist" / name).write_bytes(name.encode())
    return path


def as_archive(path, names):
    with tarfile.open(path, "w:gz") as archive:
        for name in names:
            member = tarfile.TarInfo(f"package/dist/{name}")
            member.size = len(name)
            archive.addfile(member, io.BytesIO(name.encode()))
    return path


@pytest.mark.parametrize("names", [WASM, WASM + WEBGPU, [name.replace("asyncify", "jsep") for name in WASM + WEBGPU]])
def test_folder_and_archive_give_the_same_files(tmp_path, names):
    extra = ["ort.all.min.js", "ort-wasm-simd-threaded.wasm.map"]
    read = [
        read_runtime(as_folder(tmp_path / "onnxruntime-web", [*names, *extra])),
        read_runtime(as_archive(tmp_path / "a.tgz", [*names, *extra])),
    ]
    assert read[0] == read[1]
    files, ways = read[0]
    assert files == {name: name.encode() for name in names}
    assert ways["wasm"] == dict(zip(("script", "mjs", "wasm"), WASM, strict=True))
    assert ("webgpu" in ways) == (len(names) > 3)
    assert {name for way in ways.values() for name in way.values()} == set(names)


def test_a_missing_or_other_package_is_named_with_what_to_run(tmp_path):
    (tmp_path / "text.tgz").write_text("no archive")
    for path in (tmp_path / "none", as_folder(tmp_path / "other", WASM[:2]), as_archive(tmp_path / "b.tgz", WEBGPU)):
        with pytest.raises(OptionError, match="npm pack onnxruntime-web") as error:
            read_runtime(path)
        assert str(path) in str(error.value)
    with pytest.raises(OptionError, match=r"text\.tgz cannot be read"):
        read_runtime(tmp_path / "text.tgz")


def test_nothing_is_written_where_the_tile_or_the_package_is_wrong(network, tmp_path):
    folder, package = tmp_path / "site", as_folder(tmp_path / "package", WASM)
    for tile, text in ((0, "fixed shapes"), (15, "too small")):
        with pytest.raises(OptionError, match=text):
            export_web(network, folder, package, tile=tile)
    with pytest.raises(OptionError, match="npm install"):
        export_web(network, folder, tmp_path)
    assert not folder.exists()


def test_the_folder_holds_all_that_the_page_asks_for(network, onnx_files, tmp_path, monkeypatch):
    import onnx_ir

    traced = onnx_ir.load(onnx_files["fp32"].path)  # as it was exported; to do so again takes long
    monkeypatch.setattr("lsm.export.onnx_file.to_onnx", lambda *arguments: traced)
    folder = tmp_path / "site"
    report = export_web(network, folder, as_folder(tmp_path / "package", WASM), "net", {"licence": "CC0-1.0"}, tile=70)
    written = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    assert written == {*PAGE, "config.json", "model.onnx", *(f"runtime/{name}" for name in WASM)}
    config = json.loads((folder / "config.json").read_text())
    assert (config["name"], config["scale"], config["tile"], config["window"]) == ("net", 2, 64, 8)
    assert config["licence"] == "CC0-1.0"
    assert len(set(config["sides"])) == 2
    assert report.model_size == (folder / "model.onnx").stat().st_size
    assert (report.tile, report.ways) == (64, ("wasm",))
    for name in PAGE:  # addresses of other hosts would be asked for by the visitor's browser
        assert "http" not in (folder / name).read_text().replace("http-equiv", "")

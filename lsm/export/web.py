"""`lsm export web`: a static page that upscales images on the visitor's machine, in a folder that needs nothing else.

The network is the ONNX file of `onnx_file`, run by onnxruntime-web. Tiles lie as `Upscaler` lays them, so that both
give the same image; each of their shapes, at most four an image, gets a session of its own with fixed sizes.
"""

from __future__ import annotations

import json
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from lsm.arch import Network
from lsm.errors import OptionError, needs_extra
from lsm.export.onnx_file import export_onnx
from lsm.files import atomic_file
from lsm.inference.tiling import check_tile

PAGE = ("index.html", "page.css", "page.js", "worker.js", "tiling.js")
PACKAGE = "onnxruntime-web"
OVERLAP = 32
"""Low-resolution pixels that neighbouring tiles share, as in `Upscaler`."""

_RUNTIMES = {
    "wasm": ("ort.wasm.min.mjs", ("ort-wasm-simd-threaded",)),
    # Newer versions bring WebGPU in the file of the first name, older ones in that of the second.
    "webgpu": ("ort.webgpu.min.mjs", ("ort-wasm-simd-threaded.asyncify", "ort-wasm-simd-threaded.jsep")),
}
"""For each way to run: the script, and names that its WebAssembly has."""


@dataclass(frozen=True)
class WebReport:
    """What was written.

    Attributes:
        folder: Where.
        tile: Side of a tile in low-resolution pixels.
        model_size: Bytes of the network.
        runtime_size: Bytes of onnxruntime-web; a visitor loads the files of one of its ways only.
        ways: "wasm", and "webgpu" if the package has it.
    """

    folder: Path
    tile: int
    model_size: int
    runtime_size: int
    ways: tuple[str, ...]


def export_web(
    model: Network,
    folder: str | Path,
    runtime: str | Path,
    name: str = "LSM",
    about: Mapping[str, str] | None = None,
    tile: int = 128,
) -> WebReport:
    """Write a folder that a web server of static files can offer as it is.

    Args:
        model: The network; it stays as it is.
        folder: Made if it is not there; other files in it stay.
        runtime: The npm package onnxruntime-web: its folder, or the archive that `npm pack` writes.
        name: Of the network, shown on the page.
        about: Lines for the network's metadata, e.g. `licence`; see `export_onnx`.
        tile: Side of a tile in low-resolution pixels, rounded down to a multiple of the window.

    Returns:
        What was written.

    Raises:
        CheckpointError: If the ONNX file does not agree with the network.
        OptionError: If onnxruntime-web is not there or lacks a file, the tile is too small, or the network cannot be
            exported.
    """
    folder = Path(folder)
    window = model.config.tile_multiple
    tile = check_tile(tile, OVERLAP, window)
    if not tile:
        raise OptionError("The page needs a tile size: onnxruntime-web runs tiles of fixed shapes.")
    files, ways = read_runtime(runtime)
    (folder / "runtime").mkdir(parents=True, exist_ok=True)
    report = export_onnx(model, folder / "model.onnx", about=about)
    config = {
        "name": name,
        "scale": model.config.upscale,
        "model": "model.onnx",
        "sides": _sides(folder / "model.onnx"),
        "tile": tile,
        "overlap": OVERLAP,
        "window": window,
        "licence": report.metadata["licence"],
        "runtime": ways,
    }
    for file_name, content in files.items():
        _write(folder / "runtime" / file_name, content)
    assets = resources.files("lsm.export") / "page"
    for file_name in PAGE:
        _write(folder / file_name, (assets / file_name).read_bytes())
    _write(folder / "config.json", json.dumps(config, ensure_ascii=False, indent=1).encode())
    return WebReport(folder, tile, report.size, sum(map(len, files.values())), tuple(ways))


def read_runtime(package: str | Path) -> tuple[dict[str, bytes], dict[str, dict[str, str]]]:
    """Read the files that a page needs from the npm package onnxruntime-web.

    Args:
        package: Its folder, or the archive that `npm pack` writes.

    Returns:
        The files by name; and for each way to run the names of its `script`, `mjs` and `wasm`.

    Raises:
        OptionError: If it is not there, or has no files for WebAssembly.
    """
    package = Path(package)
    offered = _read_archive(package) if package.is_file() else _read_folder(package / "dist")
    ways = {}
    for way, (script, stems) in _RUNTIMES.items():
        stem = next((stem for stem in stems if {script, f"{stem}.mjs", f"{stem}.wasm"} <= offered.keys()), None)
        if stem:
            ways[way] = {"script": script, "mjs": f"{stem}.mjs", "wasm": f"{stem}.wasm"}
    if "wasm" not in ways:
        raise OptionError(
            f"{package} is not the npm package {PACKAGE}: `npm install {PACKAGE}` makes the folder "
            f"node_modules/{PACKAGE}, `npm pack {PACKAGE}` an archive; either will do."
        )
    return {name: offered[name] for way in ways.values() for name in way.values()}, ways


def _wanted(name: str) -> bool:
    scripts = [script for script, _ in _RUNTIMES.values()]
    stems = [stem for _, stems in _RUNTIMES.values() for stem in stems]
    return name in scripts or any(name in (f"{stem}.mjs", f"{stem}.wasm") for stem in stems)


def _read_folder(folder: Path) -> dict[str, bytes]:
    if not folder.is_dir():
        return {}
    return {path.name: path.read_bytes() for path in folder.iterdir() if _wanted(path.name)}


def _read_archive(path: Path) -> dict[str, bytes]:
    """Read from the archive of a package, whose files lie below `package/dist`; nothing is unpacked."""
    found = {}
    try:
        with tarfile.open(path) as archive:
            for member in archive:
                name = member.name.removeprefix("package/dist/")
                file = archive.extractfile(member) if _wanted(name) else None
                if file:
                    found[name] = file.read()
    except (tarfile.TarError, EOFError) as error:
        raise OptionError(f"{path} cannot be read as an archive of npm: {error}.") from error
    return found


def _sides(path: Path) -> list[str]:
    """Return the names that an ONNX file has for the height and the width of its input."""
    with needs_extra("onnx", "Export to ONNX needs onnx and onnxscript"):
        import onnx
    shape = onnx.load(path).graph.input[0].type.tensor_type.shape
    return [dim.dim_param for dim in shape.dim[2:]]


def _write(path: Path, content: bytes) -> None:
    with atomic_file(path) as file:
        file.write(content)

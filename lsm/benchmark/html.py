"""The report as one HTML page: data, styles, script and images inside, nothing fetched from anywhere."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lsm.benchmark.evaluate import crop_files
from lsm.benchmark.published import Published, counterpart, published
from lsm.benchmark.results import Results, plain
from lsm.benchmark.tables import comparable, computed_with, measures, set_order, set_title, table_lines

_PAGE = Path(__file__).with_name("page")


def page(results: Results, rows: Sequence[Published], crops: Path, plots: Mapping[str, str]) -> str:
    """Write the page.

    Args:
        results: What was measured.
        rows: Published rows to show.
        crops: Folder of the crops that the run kept.
        plots: SVG by title.

    Returns:
        HTML.
    """
    return fill(_PAGE, "report", _data(results, rows, crops, plots))


def fill(folder: Path, name: str, data: Any) -> str:
    """Put styles, script and data into a page.

    Args:
        folder: Holds NAME.html with `{{css}}`, `{{js}}` and `{{data}}`, NAME.css and NAME.js.
        name: The page's name.
        data: What the script shows, as JSON types; infinite numbers become text.

    Returns:
        HTML.
    """
    content = json.dumps(plain(data), ensure_ascii=False, allow_nan=False)
    parts = {
        "css": (folder / f"{name}.css").read_text(encoding="utf-8"),
        "js": (folder / f"{name}.js").read_text(encoding="utf-8"),
        # In a script element only "<" can end or change it: names of files and models stay data.
        "data": content.replace("<", "\\u003c"),
    }
    text = (folder / f"{name}.html").read_text(encoding="utf-8")
    pieces = text.split("{{")
    return pieces[0] + "".join(parts[name] + rest for name, rest in (piece.split("}}", 1) for piece in pieces[1:]))


def _data(results: Results, rows: Sequence[Published], crops: Path, plots: Mapping[str, str]) -> dict[str, Any]:
    """Collect what the page's script shows."""
    sources = sorted({row.source for row in rows if comparable(results, row)})
    shown = ("model", "image_set", "scale", "image", "height", "width", "psnr", "ssim", "lpips", "seconds")
    return {
        "protocol": results.protocol,
        "protocol_text": results.protocol_text,
        "summary": _summary(results),
        "measures": measures(results),
        "sources": f"† {'; '.join(sources)}." if sources else "",
        "sets": list(results.sets),
        "titles": {name: set_title(results, name) for name in set_order(results)},
        "lines": _lines(results, rows),
        "published": [
            {"method": row.method, "scale": row.scale, "values": comparable(results, row)}
            for row in published()
            if comparable(results, row)
        ],
        "rows": [{name: getattr(row, name) for name in shown} for row in results.rows],
        "crops": _crops(results, crops),
        "plots": [{"title": title, "source": data_uri("image/svg+xml", svg.encode())} for title, svg in plots.items()],
    }


def _lines(results: Results, rows: Sequence[Published]) -> list[dict[str, Any]]:
    """List the table's lines with their mean time and the published method of the same name."""
    time: dict[tuple[str, int], list[float]] = {}
    for row in results.rows:
        time.setdefault((row.model, row.scale), []).append(row.seconds)
    lines = []
    for line in table_lines(results, rows):
        seconds = [] if line.is_published else time.get((line.label, line.scale), [])
        same = None if line.is_published else counterpart(line.label, line.scale)
        lines.append(
            {
                "label": line.label,
                "scale": line.scale,
                "published": line.is_published,
                "parameters": line.parameters,
                "macs": line.macs,
                "values": {name: line.values[name] for name in set_order(results) if name in line.values},
                "seconds": sum(seconds) / len(seconds) if seconds else None,
                "counterpart": same.method if same else None,
            }
        )
    return lines


def _crops(results: Results, folder: Path) -> list[dict[str, Any]]:
    """Read the crops that are there: HR, bicubic, and every method's, by image."""
    found: dict[tuple[str, int, str], dict[str, str]] = {}
    for row in results.rows:
        files = crop_files(folder, row.scale, row.data, row.key)
        if not all(path.is_file() for path in files.values()):
            continue
        images = found.setdefault((row.image_set, row.scale, row.image), {})
        for name in ("HR", "bicubic"):
            if name not in images:
                images[name] = data_uri("image/png", files[name].read_bytes())
        if row.model != "bicubic":
            images[row.model] = data_uri("image/png", files["model"].read_bytes())
    names = ("image_set", "scale", "image")
    return [{**dict(zip(names, key, strict=True)), "images": list(p.items())} for key, p in found.items()]


def _summary(results: Results) -> str:
    sets = {image_set["name"]: image_set for image_set in results.sets}
    counts = ", ".join(f"{name}: {image_set['images']} images" for name, image_set in sets.items())
    return f"{counts}. {computed_with(results)}"


def data_uri(kind: str, content: bytes) -> str:
    """Write bytes of a kind, such as `"image/png"`, as an address that holds them."""
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"

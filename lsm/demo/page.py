"""The demo's page. Imports gradio, so it is itself imported only where the page is served."""

from __future__ import annotations

import html
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import gradio as gr

from lsm.demo.visits import Visits
from lsm.demo.work import Choice, upscale_upload
from lsm.errors import InputError, LSMError
from lsm.image.formats import EXTENSIONS
from lsm.inference.device import PRECISIONS
from lsm.inference.options import Precision

QUEUE = 16  # visitors who may wait; one is served at a time, since one image fills memory and processor
TILES = [("auto: what fits the memory", "auto"), ("none: the image whole", "0"), "64", "128", "256", "512"]
MODEL_HELP = (
    "auto looks at your image. A JPEG that lost detail, or an image with visible noise, goes to the model `photo`, "
    "which smooths what compression and noise have left; a clean image goes to `fast`, which keeps all it finds. The "
    "result says which one it was and why. Nothing is invented: what is not in the image stays blurred."
)
"""For people who have never heard of a model; where no `photo` weights of the scale are there, `fast` does all."""
SYSTEM_FONT = ("system-ui", "sans-serif")
THEME = gr.themes.Default(primary_hue="blue", neutral_hue="slate", font=SYSTEM_FONT, font_mono=("monospace",))
STYLE = ".gradio-container {max-width: 1180px !important; margin: auto} footer {display: none !important}"


def build_page(visits: Visits, models: Sequence[str], device: str, max_pixels: int) -> gr.Blocks:
    """Build the page.

    Args:
        visits: Where files go.
        models: To choose from; the first is chosen at the start.
        device: Where networks run.
        max_pixels: Larger images are refused.
    """
    with gr.Blocks(title="LSM super-resolution", analytics_enabled=False, delete_cache=(600, 86400)) as page:
        gr.Markdown(
            "# LSM super-resolution\n"
            f"Drop an image of up to {max_pixels / 1e6:g} megapixels. It is upscaled on this machine, as by "
            "`lsm upscale`, and deleted when you close the page."
        )
        with gr.Row():
            with gr.Column(scale=1, min_width=300):
                *choices, start = _choices(models)
            with gr.Column(scale=2, min_width=480):
                results = _results()

        def uploaded(file: str | None, request: gr.Request) -> None:
            if file is not None:
                visits.note_upload(_visit(request), Path(file))

        def ended(request: gr.Request) -> None:
            visits.end(_visit(request))

        choices[0].upload(uploaded, choices[0], None, show_progress="hidden", queue=False, api_visibility="private")
        upscale = _upscaling(visits, device, max_pixels)
        start.click(upscale, choices, results, show_progress_on=results[0], api_visibility="private")
        page.unload(ended)
    return page.queue(max_size=QUEUE, default_concurrency_limit=1)


def _choices(models: Sequence[str]) -> tuple[gr.File, gr.Dropdown, gr.Slider, gr.Dropdown, gr.Radio, gr.Button]:
    """Make what a visitor chooses by, in the order in which `_upscaling` takes it, and the button to start."""
    return (
        gr.File(label="Image", file_types=list(EXTENSIONS), height=140, elem_id="upload"),
        gr.Dropdown(list(models), value=models[0], label="Model", info=MODEL_HELP, elem_id="model"),
        gr.Slider(1, 8, value=4, step=0.5, label="Scale", elem_id="scale"),
        gr.Dropdown(TILES, value="auto", label="Tile", info="In pixels of the input.", elem_id="tile"),
        gr.Radio(list(PRECISIONS), value="fp32", label="Precision", elem_id="precision"),
        gr.Button("Upscale", variant="primary", elem_id="start"),
    )


def _results() -> tuple[gr.ImageSlider, gr.Textbox, gr.DownloadButton]:
    """Make what `_upscaling` fills."""
    slider = gr.ImageSlider(
        label="Bicubic (left) and LSM (right)", type="filepath", interactive=False, height=560,
        max_height=560, buttons=["fullscreen"], elem_id="slider",
    )  # fmt: skip
    said = gr.Textbox(label="Result", lines=2, interactive=False, elem_id="said")
    return slider, said, gr.DownloadButton("Download", interactive=False, elem_id="download")


def _upscaling(visits: Visits, device: str, max_pixels: int) -> Callable[..., tuple[Any, ...]]:
    """Return the function that the button calls."""

    def upscale(
        file: str | None,
        model: str,
        scale: float,
        tile: str,
        precision: Precision,
        request: gr.Request,
        progress: gr.Progress = gr.Progress(),  # noqa: B008  (gradio finds it by this default)
    ) -> tuple[Any, ...]:
        try:
            if file is None:
                raise InputError("Which image? Drop one first.")
            visits.note_upload(_visit(request), Path(file))
            progress(0, desc="Upscaling")
            outcome = upscale_upload(
                Path(file),
                visits.new_folder(_visit(request)),
                Choice(model, scale, tile, precision),
                device=device,
                max_pixels=max_pixels,
                progress=lambda done, total: progress((done, total), desc="Upscaling", unit="tiles"),
            )
        except (LSMError, OSError) as error:
            raise gr.Error(html.escape(str(error), quote=False), duration=30, print_exception=False) from error
        shown = str(outcome.before), str(outcome.after)
        return shown, outcome.said, gr.DownloadButton(value=str(outcome.result), interactive=True)

    return upscale


def _visit(request: gr.Request) -> str:
    """Name the visit: one page, open in one tab."""
    return request.session_hash or ""

"""Make the README's image of the demo: python scripts/demo_screenshot.py docs/images/demo.png.

Needs the extras `demo` and `dev`, and a Chromium.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from browser import find_browser

from lsm.demo.server import demo_server

PHOTO = Path(__file__).parents[1] / "docs/images/astronaut-half.png"


def main() -> None:
    """Serve the demo, upscale the photograph in it, and take an image of the page."""
    from playwright.sync_api import sync_playwright

    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("output", type=Path)
    output = parser.parse_args().output
    with demo_server(["tiny"], port=0, device="cpu") as address, sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=find_browser(), args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1280, "height": 860})
        page.goto(address)
        page.set_input_files("#upload input[type=file]", PHOTO)
        page.wait_for_selector("#upload .file-preview")
        page.click("#start")
        page.wait_for_selector("#slider img")
        page.wait_for_timeout(1500)  # the slider begins anew when its images are there
        box = page.locator("#slider .slider-wrap").bounding_box()
        assert box is not None
        page.mouse.move(box["x"] + box["width"] * 0.47, box["y"] + box["height"] * 0.2)
        for _ in range(24):  # the face, three times as large; one notch of the wheel is 5 %
            page.mouse.wheel(0, -120)
            page.wait_for_timeout(50)
        page.mouse.move(5, 5)
        page.wait_for_timeout(500)
        page.screenshot(path=output)


if __name__ == "__main__":
    main()

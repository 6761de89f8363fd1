"""The browser that the system has, for the tests of pages and for images of them."""

from __future__ import annotations

import shutil

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")


def find_browser() -> str | None:
    """Return the path of a Chromium, or none if there is none."""
    return next((found for found in map(shutil.which, BROWSERS) if found), None)

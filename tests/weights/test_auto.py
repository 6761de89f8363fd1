"""The name `auto`, and no name: the best embedded weights, and those for photos beside them where there are any."""

from __future__ import annotations

import pytest

from lsm.weights import resolve as module
from lsm.weights.resolve import ModelName, resolve


def embed(monkeypatch, *names):
    known = {name: model for name in names if (model := ModelName.parse(name))}
    monkeypatch.setattr(module, "_embedded", lambda: known)


@pytest.mark.parametrize("name", [None, "auto"])
def test_auto_is_what_is_embedded(monkeypatch, name):
    embed(monkeypatch, "tiny-x4")
    assert (resolve(name).name, resolve(name).photo, resolve(name).label) == ("tiny-x4", None, "tiny-x4")
    embed(monkeypatch, "fast-x2", "fast-x4", "photo-x4", "tiny-x4", "tiny-denoise")
    assert (resolve(name).name, resolve(name).photo) == ("fast-x4", "photo-x4")
    assert resolve(name).label == "auto (fast-x4, photo-x4)"
    assert (resolve(name, 2).name, resolve(name, 2).photo) == ("fast-x2", None)
    assert (resolve(name, task="denoise").name, resolve(name, task="denoise").photo) == ("tiny-denoise", None)
    assert resolve("fast").photo is None

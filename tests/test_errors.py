"""Messages for the user that many modules share."""

import sys

import pytest

from lsm.errors import OptionError, needs_extra


def test_what_is_not_installed_is_named_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(OptionError) as raised, needs_extra("report", "Plots need matplotlib"):
        import matplotlib  # noqa: F401
    assert str(raised.value) == "Plots need matplotlib: pip install 'lsm-sr[report]'."


def test_what_is_installed_but_broken_says_so_too() -> None:
    with (
        pytest.raises(OptionError, match=r"'lsm-sr\[video\]' \(libav.so: no such file\)\."),
        needs_extra("video", "Videos"),
    ):
        raise ImportError("libav.so: no such file")

"""Messages for the user that many modules share."""

import sys

import pytest

from lsm.errors import InputError, LSMError, OptionError, first_line, needs_extra, one_line, truncate_repr
from lsm.version import install_command


def test_what_is_not_installed_is_named_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(OptionError) as raised, needs_extra("report", "Plots need matplotlib"):
        import matplotlib  # noqa: F401
    assert str(raised.value) == f"Plots need matplotlib: {install_command('report')}."


def test_what_is_installed_but_broken_says_so_too() -> None:
    with (
        pytest.raises(OptionError, match=r"\[video\]\" \(libav.so: no such file\)\."),
        needs_extra("video", "Videos"),
    ):
        raise ImportError("libav.so: no such file")


def test_errors_of_others_fit_on_a_line_even_if_they_say_nothing() -> None:
    error = ValueError("  shapes differ:\n  (1, 2)\n and (2, 1)\n")
    assert first_line(error) == "shapes differ:"
    assert one_line(error) == "shapes differ: (1, 2) and (2, 1)"
    assert one_line(error, 6) == "shapes"
    for silent in (AssertionError(), RuntimeError(" \n")):
        assert first_line(silent) == one_line(silent) == type(silent).__name__


def test_a_wrong_option_is_a_value_error_too() -> None:
    with pytest.raises(ValueError, match="scale"):
        raise OptionError("Unknown scale.")
    assert issubclass(OptionError, LSMError)
    assert not issubclass(InputError, ValueError)


def test_long_values_are_cut() -> None:
    assert truncate_repr("a\nb") == "'a\\nb'"
    assert truncate_repr("x" * 1000) == f"'{'x' * 96}..."

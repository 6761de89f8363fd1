import pytest

from lsm.cli import main


def test_lists_the_mixers(capsys):
    with pytest.raises(SystemExit) as stop:
        main(["mixers", "--sizes", "4,8", "--dim", "8", "--only", "cml,gfnet", "--device", "cpu"])
    assert stop.value.code in (0, None)
    printed = capsys.readouterr().out
    assert "gfnet" in printed and "2,304" in printed and "by formula" in printed


@pytest.mark.parametrize(("options", "message"), [(["--sizes", "a"], "--sizes"), (["--only", "gfnt"], "Did you mean")])
def test_bad_options_end_in_one_line(options, message, capsys):
    with pytest.raises(SystemExit) as stop:
        main(["mixers", *options])
    assert stop.value.code == 2
    assert message in capsys.readouterr().err

"""Presets and the flags over them."""

from dataclasses import dataclass, field

import pytest

from jaxseg import cli


@dataclass(frozen=True)
class Config:
    """A study.

    Attributes:
        preset: where values come from.
        steps: how many.
        rates: of learning.
    """

    preset: str = "quick"
    steps: int = 10
    rates: tuple[float, ...] = (0.1,)


PRESETS = {"quick": Config(), "full": Config(steps=1000, rates=(0.1, 0.2))}


def parse(*args):
    return cli.parse(PRESETS, "quick", description="A study.", args=args)


@pytest.mark.parametrize(
    ("args", "expected"),
    [
        ([], Config()),
        (["--preset", "full"], Config("full", 1000, (0.1, 0.2))),
        (["--preset=full", "--steps", "5"], Config("full", 5, (0.1, 0.2))),
        (["--steps", "5", "--preset", "full"], Config("full", 5, (0.1, 0.2))),
        (["--rates", "1", "2", "3"], Config("quick", 10, (1.0, 2.0, 3.0))),
    ],
)
def test_flags_go_over_presets(args, expected):
    assert parse(*args) == expected


def test_the_command_line_is_the_default(monkeypatch):
    monkeypatch.setattr("sys.argv", ["study", "--preset", "full"])
    assert cli.parse(PRESETS, "quick", description="", args=None).steps == 1000


def test_unknown_presets_are_refused():
    for args in (("--preset", "huge"), ("--preset=huge",)):
        with pytest.raises(
            ValueError, match=r"preset 'huge' is unknown: give one of quick, full\.$"
        ):
            parse(*args)


@pytest.mark.parametrize("args", [("--stepz", "3"), ("--steps", "many"), ("--preset",)])
def test_what_does_not_parse_exits_with_a_message(args, capsys):
    with pytest.raises(SystemExit) as caught:
        parse(*args)
    assert caught.value.code == 2
    assert args[0] in "".join(capsys.readouterr())


def test_help_describes_every_field(capsys):
    with pytest.raises(SystemExit) as caught:
        parse("--help")
    assert caught.value.code == 0
    out = capsys.readouterr().out
    assert all(word in out for word in ("A study.", "--steps", "how many", "of learning"))


def test_a_preset_that_is_nearly_right_is_suggested():
    with pytest.raises(ValueError, match=r"Did you mean quick\?"):
        parse("--preset", "qiuck")


def test_an_option_that_is_nearly_right_is_suggested(capsys):
    with pytest.raises(SystemExit):
        parse("--stepz", "3")
    assert "--steps" in "".join(capsys.readouterr())


@dataclass(frozen=True)
class Outer:
    """A command.

    Attributes:
        inner: a study.
        out: where results go, described at some length so that the text has to be broken into
            several lines of the help.
        preset: where values come from.
    """

    inner: Config = field(default_factory=Config)
    out: str = "runs"
    preset: str = ""


def outer(*args):
    presets = {"quick": Outer()}
    common = ("inner.steps", "inner.rates", "out")
    return cli.parse(
        presets, "quick", description="Dig.", args=args, program="jaxseg dig", common=common
    )


def test_the_first_page_of_help_is_short(capsys):
    with pytest.raises(SystemExit) as caught:
        outer("--help")
    assert caught.value.code == 0
    text = capsys.readouterr().out
    assert text.startswith("usage: jaxseg dig [options]\n\nDig.\n\noptions:\n")
    assert "  --inner.steps                 how many (10)\n" in text
    assert "of learning (0.1)" in text
    assert "lines of the help (runs)" in text
    assert "--preset" not in text
    assert text.endswith("All options: jaxseg dig --help-all\n")


def test_all_options_are_on_the_second_page(capsys):
    with pytest.raises(SystemExit) as caught:
        outer("--help-all")
    assert caught.value.code == 0
    text = capsys.readouterr().out
    assert all(word in text for word in ("--preset", "--inner.steps", "--out"))

"""A command that cannot go on."""

from __future__ import annotations

from sidecar.cli.trouble import BAD_USAGE, Trouble


def test_it_says_why_and_how_the_command_ends() -> None:
    assert (str(Trouble("nobody is there")), Trouble("nobody is there").code) == ("nobody is there", 1)
    assert Trouble("no such level", BAD_USAGE).code == 2

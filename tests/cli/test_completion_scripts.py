"""The shell scripts themselves: that each has what its shell asks for. How they work is in `test_completion.py`."""

from __future__ import annotations

import subprocess

from sidecar.cli.completion_scripts import BASH, FISH, POWERSHELL, ZSH


def test_bash_reads_its_script_without_a_word() -> None:
    done = subprocess.run(["bash", "-n"], input=BASH, capture_output=True, text=True, timeout=30, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_zsh_finds_it_in_a_folder_of_its_own() -> None:
    """As `_sidecar` in a folder of $fpath it is found by its first line."""
    assert ZSH.startswith("#compdef sidecar\n")


def test_each_registers_the_command() -> None:
    assert "complete -F _sidecar_completion sidecar" in BASH
    assert "compdef _sidecar sidecar" in ZSH
    assert "complete --command sidecar" in FISH
    assert "Register-ArgumentCompleter -Native -CommandName sidecar" in POWERSHELL

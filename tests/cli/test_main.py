"""The properties that all commands have in common: help, paths, and errors."""

import subprocess
import sys
from pathlib import Path

import click
import pytest

from dspgraph.cli.main import main
from helpers.commands import TOYS, dspgraph


def test_the_list_of_commands_fits_into_eighty_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    """No summary in the list is cut off: a summary that is too long for its line would have dots at its end."""
    monkeypatch.setenv("COLUMNS", "80")
    listing = dspgraph("--help").output.partition("Commands:\n")[2].splitlines()
    assert [line.split()[0] for line in listing] == sorted(main.commands)
    assert all(line.endswith(".") and not line.endswith("...") for line in listing), listing


@pytest.mark.parametrize("name", main.commands)
def test_every_option_is_explained_in_a_sentence(name: str) -> None:
    command = main.commands[name]
    assert command.help
    for option in command.params:
        if isinstance(option, click.Option):
            assert option.help, option.name
            assert option.help[0].isupper(), option.help
            assert option.help.endswith("."), option.help


def test_python_m_is_the_command() -> None:
    done = subprocess.run([sys.executable, "-m", "dspgraph", "--version"], capture_output=True, text=True, check=True)
    assert "0.1.0" in done.stdout


@pytest.mark.parametrize("arguments", [("-o", ""), ("", "-o", "out")])
def test_an_empty_path_is_refused(scale: Path, wav: Path, arguments: tuple[str, ...]) -> None:
    result = dspgraph("render", scale, wav, *arguments, "--plugin", TOYS)
    assert result.exit_code == 2
    assert "an empty path names nothing" in result.stderr


def test_traceback_shows_where_an_error_was_raised() -> None:
    plain, whole = dspgraph("show", "lpc_vocodr"), dspgraph("--traceback", "show", "lpc_vocodr")
    assert (plain.exit_code, whole.exit_code) == (2, 2)
    assert "Traceback" not in plain.output
    assert whole.output.startswith(plain.output)
    assert "Traceback" in whole.output
    assert "Traceback" not in dspgraph("show", "lpc_vocodr").output


def test_traceback_shows_the_line_of_a_node_that_fails_on_a_file(tmp_path: Path, wav: Path) -> None:
    plugin = tmp_path / "broken.py"
    plugin.write_text(
        "from dspgraph import Audio, Input, Node, Output\n\n\nclass Broken(Node):\n    x = Input(Audio)\n"
        "    y = Output(Audio)\n\n    def step(self, state, x):\n        return state, x / None\n"
    )
    pipeline = tmp_path / "broken.yaml"
    pipeline.write_text("inputs: {x: {audio: 16000}}\nnodes: {bad: {node: broken, x: x}}\noutputs: {y: bad}\n")
    common = ("render", pipeline, wav, "--plugin", plugin)
    result = dspgraph(*common, "-o", tmp_path / "plain")
    assert result.exit_code == 1
    assert f"({plugin}, line 9)" in result.output
    assert "Traceback" not in result.output
    result = dspgraph("--traceback", *common, "-j", "2", "-o", tmp_path / "whole")  # the worker prints it too
    assert "Traceback" in result.output
    assert "return state, x / None" in result.output

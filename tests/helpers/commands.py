"""A runner of commands in this process, and other parts that the tests of commands share."""

from collections.abc import Callable
from pathlib import Path

from click.testing import CliRunner, Result

from dspgraph.cli.main import main
from helpers import paths

TOYS = str(paths.TOYS)
"""The plugin file with nodes for tests."""


def dspgraph(*arguments: object) -> Result:
    """Run the command `dspgraph` with arguments in this process, and return its exit code and output.

    An exception that the command raises is not raised here: it is in the result.
    """
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def leftovers(folder: Path) -> list[str]:
    """Return the sorted relative paths of all files in a folder and below it, without .json, .jsonl and .pyc files.

    These are sidecars, ledgers and compiled Python files.
    """
    made = (".json", ".jsonl", ".pyc")  # Python writes .pyc files beside plugins
    files = [path for path in folder.rglob("*") if path.is_file() and path.suffix not in made]
    return sorted(str(path.relative_to(folder)) for path in files)


def pipeline_file(text: str) -> Callable[[Path], Path]:
    """Return a function that writes the pipeline `text` to the file mine.yaml of a folder, and returns its path."""

    def make(folder: Path) -> Path:
        (folder / "mine.yaml").write_text(text)
        return folder / "mine.yaml"

    return make


HEAD = "inputs: {x: {audio: 16000}}\nnodes:\n"
"""The beginning of a pipeline, before its nodes."""

"""Commands inside the sentences of pages and docstrings: all that they name exists, and pipelines take their options.

Commands in blocks of the pages are run by test_pages.py and test_readme.py; here they are parsed too. Words in capitals
stand for something, such as FILE, and are not checked.
"""

import re
import shlex
import tomllib
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import click
import pytest
from click.testing import CliRunner
from pydantic import ValidationError

from dspgraph import DspgraphError, load, registry
from dspgraph.cli.main import main
from dspgraph.evaluation import metrics
from dspgraph.evaluation.variants import Choice, choices
from dspgraph.pipeline.file_values import nominal
from dspgraph.pipeline.overrides import swap_pairs
from dspgraph.pipeline.pipeline import Pipeline
from dspgraph.training.contract import training
from dspgraph.training.run import settings
from helpers.networks import overrides
from helpers.paths import ROOT

PAGES = [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("pipelines/*.md")]
CODE = [*ROOT.glob("nodes/**/*.py"), *ROOT.glob("dspgraph/cli/*.py"), *ROOT.glob("examples/*.py")]
SOURCES = sorted([*PAGES, *CODE])
HARMLESS = ("show", "nodes", "pipelines", "info", "check", "schema")
"""Commands of dspgraph that are run too, if `_can_run` says that they can be."""

PLACEHOLDER = re.compile(r"(?:[\w./]+=)?[A-Z][A-Z_0-9./=]*(?:\.\w+)?|<\w+>|NODE=<\w+>|\[[A-Z]+\]")
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
EXTRAS = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]


def commands(text: str) -> list[str]:
    """Return the commands of dspgraph, make, python and pip in a text.

    They stand between backquotes, in lines that are indented by exactly four blanks, and in code blocks without a
    language or of the language sh. Those with braces are left out.
    """
    blocks = re.findall(r"^```(?:sh)?\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    rest = re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE)
    lines = "\n".join(blocks).replace("\\\n", " ").splitlines() + re.findall(r"^ {4}(\S.*)$", rest, re.MULTILINE)
    found = [" ".join(one.split()) for one in [*re.findall(r"`([^`]+)`", rest), *lines]]
    return [one for one in found if re.match(r"(?:dspgraph|make|python|pip) (?!=)", one) and "{" not in one]


ENTRY_POINTS = (registry.NODE_GROUP, registry.PIPELINE_GROUP, registry.MODEL_GROUP, registry.METRIC_GROUP)
"""Groups of entry points. Their names have dots too, but need not be names of modules."""

OTHERS = {"distributed.md": {"--num-cpus"}}
"""Name of a page -> options of other programs that it names."""

OWN_FILES = {"mix.yaml"}
"""Pipeline files that a reader of the pages writes."""

FOUND = [(path, one) for path in SOURCES for one in dict.fromkeys(commands(path.read_text(encoding="utf-8")))]


def check(command: str) -> None:
    """Raise an error if a command of dspgraph, make, python or pip does not exist in this form; run harmless ones."""
    words = shlex.split(command.partition(" > ")[0], comments=True)
    words = [word for word in words if word not in ("...", "*.csv")]
    program, *rest = words
    {"dspgraph": _check_dspgraph, "make": _check_make, "python": _check_python, "pip": _check_pip}[program](rest)


def _check_make(words: list[str]) -> None:
    for word in words:
        name, equals, _ = word.partition("=")
        assert f"$({name})" in MAKEFILE if equals else re.search(rf"^{name}:", MAKEFILE, re.MULTILINE), word


def _check_python(words: list[str]) -> None:
    first, *rest = words
    if first == "-m":
        assert find_spec(rest[0]) is not None, rest[0]
        if rest[0] == "dspgraph":
            _check_dspgraph(rest[1:])
        return
    assert (ROOT / first).is_file(), first
    source = (ROOT / first).read_text(encoding="utf-8")
    for word in (word.lstrip("[").rstrip("]").partition("=")[0] for word in rest):
        assert not word.startswith("-") or f'"{word}"' in source, f"{first} has no option {word}"


def _check_pip(words: list[str]) -> None:
    assert words[0] == "install"
    for extras in re.findall(r"\[([\w,]+)\]", " ".join(words)):
        assert set(extras.split(",")) <= EXTRAS.keys(), extras


def _check_dspgraph(words: list[str]) -> None:
    group: click.Command = main
    context = click.Context(main)
    rest = list(words)
    while isinstance(group, click.Group) and rest and not rest[0].startswith("-"):
        name = rest.pop(0)
        if PLACEHOLDER.fullmatch(name):
            return
        found = group.get_command(context, name)
        assert found is not None, f"there is no command {name}"
        group, context = found, click.Context(found, context, info_name=name)
    given, left, _ = group.make_parser(context).parse_args(list(rest))
    assert not left, f"more arguments than the command takes: {left}"
    for parameter in group.params:
        value = given.get(parameter.name or "")
        values = [one for one in (value if isinstance(value, list | tuple) else [value]) if isinstance(one, str)]
        for one in values:
            if not PLACEHOLDER.fullmatch(one):
                parameter.type.convert(one, parameter, context)
    _check_names(words[0], given)
    if words[0] in HARMLESS and _can_run(words[0], given):
        result = CliRunner().invoke(main, words)
        assert result.exit_code == 0, result.output


def _can_run(command: str, given: dict[str, object]) -> bool:
    """Return whether a parsed command can be run: it has what it needs, and no placeholder, plugin or path.

    `show` and `check` need a pipeline. Whether a command would do harm is not asked here.
    """
    words = [one for value in given.values() for one in (value if isinstance(value, list | tuple) else [value])]
    if any(isinstance(one, str) and (PLACEHOLDER.fullmatch(one) or "/" in one or ".py" in one) for one in words):
        return False
    named = [
        value for key in ("pipeline", "names") for value in [given.get(key)] if isinstance(value, str | tuple) and value
    ]
    return command not in ("show", "check") or bool(named)


def _check_names(command: str, given: dict[str, object]) -> None:
    """Check that pipeline, variants, variables, parameters, streams, nodes, metrics, models and settings exist.

    given: the arguments of a parsed command, by name.
    """
    pipeline, node, model = given.get("pipeline"), given.get("name"), given.get("model")
    if isinstance(pipeline, str) and not PLACEHOLDER.fullmatch(pipeline) and pipeline not in OWN_FILES:
        assert not pipeline.endswith(".yaml") or (ROOT / pipeline).is_file(), f"there is no file {pipeline}"
        _check_graphs(command, str(ROOT / pipeline) if pipeline.endswith(".yaml") else pipeline, given)
    if command == "nodes" and isinstance(node, str) and not PLACEHOLDER.fullmatch(node) and not given.get("plugins"):
        registry.find(node)
    if command == "compare" and not given.get("metric_files"):
        metrics.check_names(_listed(given.get("names")))
    if command == "train" and isinstance(model, str) and not PLACEHOLDER.fullmatch(model):
        chosen = {name: value for name, _, value in (one.partition("=") for one in _listed(given.get("given"), ""))}
        unknown = chosen.keys() - {name for name, _, _ in settings(model)} - {"steps"}
        assert not unknown, unknown
        chosen.pop("steps", None)
        training(model).Settings.model_validate_strings(chosen)


def _check_graphs(command: str, pipeline: str, given: dict[str, object]) -> None:
    """Make the graphs of a parsed command; a name in it that does not exist raises an error.

    Files of weights, which only a reader has, are replaced by files of random weights; then a pitch is replaced by 60,
    which these networks have.
    """
    chosen, swaps = _listed(given.get("overrides"), ""), swap_pairs(_listed(given.get("swaps"), ""))
    if any(one.startswith("weights=") for one in chosen):
        rate = next((int(one[5:]) for one in chosen if re.fullmatch(r"rate=\d+", one)), 16000)
        chosen = [re.sub(r"^pitch=\d+$", "pitch=60", one) for one in chosen if not one.startswith("weights=")]
        chosen += overrides(pipeline, rate)
    if command == "compare":
        vary = _listed(given.get("vary")) if given.get("vary") else None
        for choice in choices(pipeline, chosen, swaps, (), vary):
            made = choice if isinstance(choice, Choice) else choice.given(nominal(choice.pipeline.wanted))
            assert isinstance(made, Choice)
    else:
        described = Pipeline(pipeline, chosen, swaps)
        described = described.given(nominal(described.wanted))
        drawn = [one for one in _listed(given.get("streams")) if one not in described.graph.outputs]
        assert described.tap(*_listed(given.get("taps")), *drawn).graph


def _listed(value: object, separator: str = ",") -> list[str]:
    """Return the values of an option, without placeholders.

    value: one text or several; separator: divides one text into several values, unless it is empty.
    """
    texts = [str(one) for one in (value if isinstance(value, list | tuple) else [value] if value else [])]
    parts = [part.strip() for one in texts for part in (one.split(separator) if separator else [one])]
    return [one for one in parts if not PLACEHOLDER.fullmatch(one)]


@pytest.mark.parametrize(("path", "command"), FOUND, ids=[f"{path.stem}: {command[:60]}" for path, command in FOUND])
def test_a_command_in_a_text_exists(path: Path, command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    check(command)


def spans(pattern: str) -> list[tuple[str, str]]:
    """Return (name of a page, code between backquotes) for all code on the pages that fits a pattern as a whole.

    Code blocks are left out. pattern: a regular expression.
    """
    texts = ((path, re.sub(r"^```.*?^```", "", path.read_text(), flags=re.DOTALL | re.MULTILINE)) for path in PAGES)
    return [
        (path.name, one)
        for path, text in texts
        for one in re.findall(r"`([^`\n]+)`", text)
        if re.fullmatch(pattern, one)
    ]


@pytest.mark.parametrize(("page", "code"), spans(r'load\("[a-z_]+".*\)|from dspgraph.* import .*'))
def test_python_in_a_sentence_runs(page: str, code: str) -> None:
    exec(code, {"load": load})


@pytest.mark.parametrize(("page", "name"), spans(r"dspgraph(?:_nodes)?(?:\.[A-Za-z_]+)+"))
def test_a_name_with_dots_is_that_of_a_module_or_of_something_in_it(page: str, name: str) -> None:
    if name in ENTRY_POINTS:
        return
    parts = name.split(".")
    known = next(k for k in range(len(parts), 0, -1) if _is_module(".".join(parts[:k])))
    found = import_module(".".join(parts[:known]))
    for part in parts[known:]:
        found = getattr(found, part)


def options(command: click.Command = main) -> set[str]:
    """Return all options of a command and of the commands in it."""
    own = {name for one in command.params if isinstance(one, click.Option) for name in (*one.opts, *one.secondary_opts)}
    inner = command.commands.values() if isinstance(command, click.Group) else ()
    return own.union({"--help", "-h"}, *map(options, inner))


@pytest.mark.parametrize(("page", "code"), spans(r"--?[a-zA-Z].*"))
def test_an_option_that_is_named_alone_is_one_of_a_command(page: str, code: str) -> None:
    """Pages name only options that exist; the changelog may also name options that are gone."""
    assert page == "CHANGELOG.md" or code.replace("=", " ").split()[0] in options() | OTHERS.get(page, set())


def _is_module(name: str) -> bool:
    try:
        return find_spec(name) is not None
    except ModuleNotFoundError:
        return False


def test_every_page_is_searched() -> None:
    """More than a hundred commands are found, some of them in four files of different kinds.

    If pages marked code in another way, none would be found and checked. Every name in OWN_FILES is used.
    """
    assert {"README.md", "CONTRIBUTING.md", "live.md", "fargan.py"} <= {path.name for path, _ in FOUND}
    assert len(FOUND) > 100
    assert {word for _, one in FOUND for word in one.split() if word.endswith(".yaml")} >= OWN_FILES


@pytest.mark.parametrize(
    "command",
    [
        "dspgraph rendr",
        "dspgraph weights convrt",
        "dspgraph render --tapp STREAM",
        "dspgraph score a.wav b.wav c.wav",
        "dspgraph show lpc_vocodr",
        "dspgraph show lpc_vocoder -s ordr=3",
        "dspgraph render lpc_vocoder FILE --swap excitation=none",
        "dspgraph render lpc_vocoder FILE --batch few",
        "dspgraph nodes fram",
        "dspgraph render lpc_vocoder FILE -s lpc.ordr=3",
        "dspgraph render lpc_vocoder FILE -s lpc.order=abc",
        "dspgraph render lpc_vocoder FILE -s rate=file -s lpc.order=abc",
        "dspgraph render lpcnet FILE -s weights=small.safetensors -s lpcnet.precision=int7",
        "dspgraph render lpc_vocoder FILE --swap excitation=residual,whisper",
        "dspgraph compare lpc_vocoder FILE --swap excitation=residual,whispr",
        "dspgraph compare lpc_vocoder FILE -s lpc.ordr=3,4",
        "dspgraph compare lpc_vocoder FILE -s rate=file -s lpc.order=12,abc",
        "dspgraph compare lpc_vocoder FILE --vary excitatoin",
        "dspgraph compare lpc_vocoder FILE --metrics lsd,mcdd",
        "dspgraph render lpc_vocoder FILE --tap pitsch",
        "dspgraph show no_such.yaml",
        "dspgraph render pipelines/lpc_vocodr.yaml FILE",
        "python -m dspgraph rendr",
        "python -m dspgraph render lpc_vocodr FILE",
        "python examples/first_hour.py OUT --nope",
        "python examples/make_notes.py FOLDER [--cuont N]",
        "dspgraph plot FILE --pipeline lpc_vocoder --stream pitsch",
        "dspgraph train lpcnet --init FILE -s eight_bit=true",
        "dspgraph train lpcnet --init FILE -s eight_bits=8",
        "make nothing",
        "make test NDE=lpc",
        "python examples/none.py",
        "pip install 'dspgraph[none]'",
    ],
)
def test_a_wrong_command_is_seen(command: str) -> None:
    with pytest.raises((AssertionError, click.ClickException, DspgraphError, ValidationError)):
        check(command)

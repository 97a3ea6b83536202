"""The command `show`."""

from pathlib import Path

import pytest

from helpers.commands import HEAD, TOYS, dspgraph, pipeline_file


@pytest.mark.parametrize("command", ["render", "show"])
def test_a_computed_import_of_a_plugin_is_noted_once(tmp_path: Path, wav: Path, command: str) -> None:
    (tmp_path / f"by_name_{command}.py").write_text(
        "from importlib import import_module\nfrom dspgraph import *\n\nclass ByName(Node):\n    '''By name.'''\n"
        "    x = Input(Audio)\n    y = Output(Audio)\n\n    def step(self, state, x):\n"
        "        import_module('js' + 'on')\n        return state, x\n"
    )
    pipeline = pipeline_file(HEAD + "  end: {node: by_name, x: x}\noutputs: {y: end}\n")(tmp_path)
    more = [wav, wav.with_name("other.wav"), "-o", tmp_path / "out"] if command == "render" else []
    wav.with_name("other.wav").write_bytes(wav.read_bytes())
    result = dspgraph(command, pipeline, *more, "--plugin", tmp_path / f"by_name_{command}.py")
    assert result.exit_code == 0, result.output
    assert result.stderr.count(f"by_name_{command}.py:10: a module is imported by a computed name") == 1
    assert "computed name" not in dspgraph("show", "lpc_vocoder").output


@pytest.mark.parametrize(
    ("form", "head"), [("text", "scale:"), ("mermaid", "flowchart"), ("dot", "digraph"), ("svg", "<svg")]
)
def test_show_draws_the_graph(scale: Path, form: str, head: str) -> None:
    result = dspgraph("show", scale, "--plugin", TOYS, "--format", form)
    assert result.exit_code == 0, result.output
    assert head in result.output
    assert "toy_scale" in result.output


def test_show_names_variants_latency_and_the_nodes_that_hold_the_whole_signal(tmp_path: Path, scale: Path) -> None:
    assert "--swap end= toy_scale | late" in dspgraph("show", scale, "--plugin", TOYS).output
    late = dspgraph("show", scale, "--plugin", TOYS, "--swap", "end=late").output
    assert "6.25 ms" in late
    path = pipeline_file(HEAD + "  end: {node: toy_peak, x: x}\noutputs: {y: end}\n")(tmp_path)
    assert "the whole signal" in dspgraph("show", path, "--plugin", TOYS).output


def test_show_of_a_wrong_graph_prints_nothing_but_the_error(tmp_path: Path) -> None:
    path = pipeline_file("about: Wrong.\n" + HEAD + "  end: {node: toy_scale}\noutputs: {y: end}\n")(tmp_path)
    result = dspgraph("show", path, "--plugin", TOYS)
    assert result.exit_code == 2
    assert result.stdout == ""


def test_a_node_can_be_set_by_the_name_that_show_prints(tmp_path: Path) -> None:
    """A node of a pipeline within a pipeline is set by its name in the graph, also with a dot in place of the slash."""
    swap = ("--swap", "excitation=mulaw_residual")
    for name in ("excitation.codes", "excitation/codes"):
        result = dspgraph("show", "lpc_vocoder", *swap, "-s", f"{name}.levels=64")
        assert result.exit_code == 0, result.output
        assert "levels=64" in result.output


def test_show_escapes_the_text_of_a_file(tmp_path: Path) -> None:
    """Control characters in the text `about`, in the names of variants and in the kinds of streams are escaped."""
    path = tmp_path / "mine.yaml"
    path.write_text(
        'about: "a\\e]0;title\\a\\nforged"\ninputs: {x: {frames: "k\\e[31m", rate: 100, width: 1}}\n'
        "nodes: {end: {node: select_columns, frames: x, count: 1}}\noutputs: {y: end}\n"
        'variants: {end: {"v\\e[31m\\n": {node: select_columns, frames: x, count: 1}}}\n'
    )
    for form in ("text", "mermaid", "dot", "svg"):
        result = dspgraph("show", path, "--format", form)
        assert result.exit_code == 0, result.output
        assert all(line.isprintable() for line in result.output.split("\n")), result.output
        assert "x1b" in result.output
    lines = dspgraph("show", path).output.split("\n")
    assert lines[0] == r"mine: a\x1b]0;title\x07\nforged"
    assert lines[1] == r"--swap end= select_columns | v\x1b[31m\n"


@pytest.mark.thorough
def test_an_fft_too_short_for_the_voice_is_noted_before_the_run(tmp_path: Path, wav: Path) -> None:
    options = ["-s", "power.n_fft=512", "-s", "aperiodicity.n_fft=512"]
    runs: list[list[object]] = [
        ["show", "world"],
        ["render", "world", wav, "-o", tmp_path / "out"],
        ["compare", "world", wav, "-o", tmp_path / "c"],
    ]
    for arguments in runs:
        result = dspgraph(*arguments, *options)
        assert result.exit_code == 0, result.output
        assert "note: power: cheaptrick.n_fft is 512, too short for a pitch below 94 Hz" in result.stderr

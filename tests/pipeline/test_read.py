"""Pipeline files as plain data: the values of YAML 1.2, and limits that protect the memory from hostile files."""

import math
from pathlib import Path
from typing import Any

import pytest

from dspgraph import DspgraphError, PipelineError, load
from dspgraph.pipeline.read import Files, parse
from dspgraph.registry import shipped_pipelines
from helpers.effort import calls, soon
from helpers.paths import TOYS

VALUES: dict[str, Any] = {
    "0100": 100, "016000": 16000, "08": 8, "-7": -7, "+7": 7, "0x1F": 31, "0o17": 15, "00": 0,
    "1.": 1.0, ".5": 0.5, "-.5": -0.5, "1e-3": 0.001, "1E3": 1000.0, "08.5": 8.5, ".inf": math.inf, "-.INF": -math.inf,
    "true": True, "TRUE": True, "False": False, "null": None, "~": None, "": None,
    "on": "on", "yes": "yes", "No": "No", "y": "y", "tRUE": "tRUE", "1:30": "1:30", "1_0": "1_0", "0b1": "0b1",
    "-0x1": "-0x1", "2001-01-01": "2001-01-01", "0o8": "0o8", "1.5.2": "1.5.2", "'1'": "1", "inf": "inf",
}  # fmt: skip
"""A plain value -> the value that the core schema of YAML 1.2 reads (https://yaml.org/spec/1.2.2/#103-core-schema)."""


@pytest.mark.parametrize("text", VALUES)
def test_a_plain_value_is_that_of_yaml_1_2(text: str) -> None:
    found = parse(text, "mine.yaml").data
    assert found == VALUES[text]
    assert type(found) is type(VALUES[text])


def written(folder: Path, text: str, name: str = "mine.yaml") -> Path:
    path = folder / name
    path.write_text(text)
    return path


def pipeline_with(entry: str) -> str:
    return f"inputs: {{x: {{audio: 16000}}}}\nnodes:\n  end: {{node: toy_scale, x: x, {entry}}}\noutputs: {{y: end}}\n"


@pytest.mark.parametrize("value", ["on", "yes", "true", "1_0", "1:30", "0b1", "'3'", "[1]", "null", ".nan"])
def test_what_is_no_number_is_refused_as_a_number(tmp_path: Path, value: str) -> None:
    with pytest.raises(
        PipelineError, match=r"mine.yaml:3: nodes.end.factor: toy_scale.factor is .*; it must be a number"
    ):
        load(written(tmp_path, pipeline_with(f"factor: {value}")), plugins=[TOYS])


@pytest.mark.parametrize("value", ["on", "true", "1_0", "3.0", "'3'"])
def test_what_is_no_integer_is_refused_as_a_seed(tmp_path: Path, value: str) -> None:
    path = written(tmp_path, f"{pipeline_with('factor: 1')}seed: {value}\n")
    with pytest.raises(PipelineError, match=r"mine.yaml:5: seed: input should be a valid integer; found "):
        load(path, plugins=[TOYS])
    with pytest.raises(PipelineError, match=r"seed=.*: seed: input should be a valid integer; found "):
        load(written(tmp_path, pipeline_with("factor: 1")), [f"seed={value}"], plugins=[TOYS])


HUGE = {
    "hexadecimal": "0x" + "f" * 4000,
    "octal": "0o" + "7" * 5000,
    "decimal": "9" * 5000,
    "just too large": str(2**128),
}


@pytest.mark.parametrize("what", HUGE)
@pytest.mark.parametrize("key", ["seed", "extends", "about"])
def test_an_integer_of_more_than_128_bits_is_refused_wherever_it_stands(tmp_path: Path, what: str, key: str) -> None:
    message = r"has more than 128 bits: quote it if it is a text"
    with pytest.raises(PipelineError, match=rf"mine.yaml:1: {key} {message}"):
        load(written(tmp_path, f"{key}: {HUGE[what]}\n"))
    with pytest.raises(PipelineError, match=rf"mine.yaml:3: nodes.end.factor {message}"):
        load(written(tmp_path, pipeline_with(f"factor: {HUGE[what]}")), plugins=[TOYS])
    with pytest.raises(PipelineError, match=message):
        load(written(tmp_path, pipeline_with("factor: 1")), [f"seed={HUGE[what]}"], plugins=[TOYS])


def nested(levels: int) -> str:
    """Return YAML text of `levels` lists: a0 is [1, 1], and a1, a2 ... have the list before it twice, by aliases.

    The last one has 2**levels values.
    """
    return "a0: &a0 [1, 1]\n" + "".join(f"a{k}: &a{k} [*a{k - 1}, *a{k - 1}]\n" for k in range(1, levels))


HOSTILE = {
    "a flat list": f"a: [{'1, ' * 150_000}]\n",
    "a flat mapping": "a:\n" + "".join(f"  k{k}: 1\n" for k in range(60_000)),
    "a deep nest": "a: " + "[" * 400_000,
    "a deep nest of blocks": "\n".join("- " * k + "a" for k in range(1, 300)),
    "aliases that double": nested(60),
    "more than a megabyte": "# " + "x" * 1_000_000,
    "an alias in a key": "a: &a [1]\n? *a\n: 1\n",
}


@pytest.mark.thorough
@pytest.mark.parametrize("what", HOSTILE)
def test_a_file_that_would_fill_the_memory_is_refused_at_once(tmp_path: Path, what: str) -> None:
    with (
        soon(),
        pytest.raises(
            PipelineError, match=r"mine.yaml(:\d+)?:? .*(this is not a pipeline|as a key|more than 1000000 bytes)"
        ),
    ):
        load(written(tmp_path, HOSTILE[what]))


def test_a_file_without_end_is_not_read_to_its_end(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    with path.open("wb") as file:
        file.truncate(10 * 2**30)  # a hole of 10 GiB, which takes no room on the disk
    with soon(), pytest.raises(PipelineError, match=r"mine.yaml has more than 1000000 bytes"):
        load(path)


BIG = {
    "comments": "# comment\n" * 90_000,
    "a long text": f"about: {'x ' * 450_000}\n",
    "a quoted text": f'about: "{"x " * 450_000}"\n',
    "a text of many lines": "about: |\n" + "  line\n" * 130_000,
    "spaces": " " * 900_000,
}


@pytest.mark.slow
@pytest.mark.parametrize("what", BIG)
def test_a_big_file_with_few_values_is_read_soon(tmp_path: Path, what: str) -> None:
    with soon(), pytest.raises(DspgraphError):
        load(written(tmp_path, BIG[what]))


@pytest.mark.thorough
def test_extending_thousands_of_entries_takes_work_in_proportion(tmp_path: Path) -> None:
    def extending(count: int) -> Path:
        entries = "".join(f"  v{k}: {k}\n" for k in range(count))
        written(tmp_path, "vars:\n" + entries, "base.yaml")
        return written(tmp_path, "extends: base.yaml\nvars:\n" + entries)

    few = calls(lambda: Files().read(extending(500)))
    assert calls(lambda: Files().read(extending(2000))) < 5 * few
    own = extending(4000)
    with soon():
        source = Files().read(own)
    assert source.place(("vars", "v7")) == f"{own}:10: vars.v7"


def test_marks_follow_values_through_extends(tmp_path: Path) -> None:
    base = written(tmp_path, "nodes:\n  a: {node: x, k: 1}\n  b: {node: x}\n  c: {node: x}\n", "base.yaml")
    own = written(tmp_path, "extends: base.yaml\nnodes:\n  a:\n    k: 2\n  b:\n    node: y\n    l: [3]\n  c: null\n")
    source = Files().read(own)
    assert source.data == {"nodes": {"a": {"node": "x", "k": 2}, "b": {"node": "y", "l": [3]}}}
    assert source.place(("nodes", "a", "node")) == f"{base}:2: nodes.a.node"
    assert source.place(("nodes", "a", "k")) == f"{own}:4: nodes.a.k"
    assert source.place(("nodes", "b", "l", "0")) == f"{own}:7: nodes.b.l.0"
    assert source.place(("outputs",)) == f"{own}: outputs"


def test_files_that_extend_each_other_too_often_are_refused(tmp_path: Path) -> None:
    written(tmp_path, pipeline_with("factor: 1"), "p0.yaml")
    for k in range(1, 30):
        written(tmp_path, f"extends: p{k - 1}.yaml\n", f"p{k}.yaml")
    assert load(tmp_path / "p19.yaml", plugins=[TOYS]).nodes
    with pytest.raises(PipelineError, match=r"p1.yaml:1: extends: more than 20 files extend each other"):
        load(tmp_path / "p20.yaml", plugins=[TOYS])


@pytest.mark.slow
def test_the_files_of_a_pipeline_are_limited_together(tmp_path: Path) -> None:
    values = f"vars: {{a: [{'1, ' * 9000}]}}\n"
    written(tmp_path, values + pipeline_with("factor: 1"), "p0.yaml")
    for k in range(1, 5):
        written(tmp_path, f"extends: p{k - 1}.yaml\n{values}", f"p{k}.yaml")
    assert load(tmp_path / "p2.yaml", plugins=[TOYS]).nodes
    with (
        soon(),
        pytest.raises(PipelineError, match=r"p0.yaml: with the files before it, more than 2000000 bytes or 30000 val"),
    ):
        load(tmp_path / "p3.yaml", plugins=[TOYS])


@pytest.mark.thorough
def test_the_values_of_all_pipelines_are_limited_together(tmp_path: Path) -> None:
    written(tmp_path, f"vars: {{a: [{'1, ' * 9000}]}}\n{pipeline_with('factor: 1')}", "wide.yaml")
    nodes = "".join(f"  a{k}: {{pipeline: wide.yaml, x: x}}\n" for k in range(12))
    own = written(tmp_path, f"inputs: {{x: {{audio: 16000}}}}\nnodes:\n{nodes}outputs: {{y: a0}}\n")
    with soon(), pytest.raises(PipelineError, match=r"or they have more than 100000 values: this is not a pipeline"):
        load(own, plugins=[TOYS])


# ---- what people write stays usable ---------------------------------------------------------------------------------


def test_large_pipelines_of_people_load_soon(tmp_path: Path) -> None:
    nodes = "  n0: {node: toy_scale, x: x}\n" + "".join(
        f"  n{k}: {{node: toy_scale, x: n{k - 1}}}\n" for k in range(1, 200)
    )
    variants = "".join(f"    v{k}: {{node: toy_scale, x: x, factor: 0.{k}}}\n" for k in range(50))
    text = f"inputs: {{x: {{audio: 16000}}}}\nnodes:\n{nodes}outputs: {{y: n199}}\nvariants:\n  n0:\n{variants}"
    written(tmp_path, text, "p0.yaml")
    for k in range(1, 6):
        written(tmp_path, f"extends: p{k - 1}.yaml\nnodes:\n  n{k}: {{factor: 0.{k}}}\n", f"p{k}.yaml")
    load(tmp_path / "p0.yaml", plugins=[TOYS])  # imports modules
    for path in (tmp_path / "p0.yaml", tmp_path / "p5.yaml"):
        with soon():
            graph = load(path, swap={"n0": "v7"}, plugins=[TOYS])
        assert len(graph.nodes) == 200
        assert graph.nodes["n0"] == load(path, ["n0.factor=0.7"], plugins=[TOYS]).nodes["n0"]


WITHOUT_WEIGHTS = [
    name for name, path in sorted(shipped_pipelines().items()) if "weights: null" not in path.read_text()
]
"""The pipelines that run as they are: they need no weights, or come with them."""


@pytest.mark.parametrize("name", WITHOUT_WEIGHTS)
def test_a_shipped_pipeline_loads_soon(name: str) -> None:
    load(name)  # imports modules
    with soon():
        load(name)


def test_a_file_in_another_encoding_is_refused_with_the_way_out(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_bytes("about: x\n".encode("utf-16"))
    with pytest.raises(PipelineError, match="mine.yaml is not text in UTF-8: .* at byte 0: save it in UTF-8"):
        load(tmp_path / "mine.yaml")

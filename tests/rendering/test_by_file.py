"""Pipelines whose inputs take rate and channels from the file: the results are those with these numbers written out."""

import json
import shutil
from collections.abc import Callable, Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from click.testing import CliRunner

from dspgraph import load, render
from dspgraph.cli.main import main
from dspgraph.errors import PipelineError, RequestError
from dspgraph.evaluation.compare import compare
from dspgraph.evaluation.variants import choices
from dspgraph.pipeline.file_values import Values, Wanted, read_header
from dspgraph.pipeline.pipeline import Pipeline
from dspgraph.rendering import by_file
from dspgraph.rendering.executors.process import Processes
from dspgraph.rendering.executors.ray import Ray
from dspgraph.rendering.executors.serial import Serial
from dspgraph.rendering.item import Item
from dspgraph.rendering.job import Executor
from helpers.pipelines import written
from helpers.renderings import everything, said
from helpers.speech import speech

OWN = """
vars: {rate: file, channels: file, gain: 0.01}
inputs:
  x: {audio: "${rate}", channels: "${channels}"}
nodes:
  noise: {node: white_noise, like: x}
  quiet: {node: gain, x: noise, gain: "${gain}"}
  sum:   {node: mix, x: [x, quiet]}
outputs:
  y: sum
variants:
  quiet:
    off: {node: gain, x: noise, gain: 0}
"""
RATES = (8000, 16000, 44100)


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    """Return a folder with two recordings of each rate in RATES and each number of channels, 1 and 2.

    They are called NUMBER_RATE_CHANNELS.wav, so that in the order of names the rates are mixed.
    """
    (tmp_path / "in").mkdir()
    for k in range(2):
        for rate in RATES:
            for channels in (1, 2):
                samples = speech()[: (800 + 150 * k) * channels].reshape(-1, channels)
                soundfile.write(tmp_path / "in" / f"{k}_{rate}_{channels}.wav", samples, rate)
    return tmp_path / "in"


def own(tmp_path: Path, text: str = OWN, *overrides: str) -> Pipeline:
    return Pipeline(written(tmp_path, text), overrides)


def one_by_one(tmp_path: Path, corpus: Path) -> dict[str, bytes]:
    """Render each recording with the pipeline OWN, with the rate and channels in the name of the file as numbers.

    Returns the files that were written, except the ledger: path in the output folder -> content. corpus: a folder such
    as that of the fixture.
    """
    for path in sorted(corpus.iterdir()):
        _, rate, channels = path.stem.split("_")
        fixed = load(written(tmp_path, OWN), [f"rate={rate}", f"channels={channels}"])
        (row,) = render(fixed, [path], tmp_path / "fixed")
        assert not row.error
        assert not [note for note in row.notes if "resampled" in note or "channel" in note]
    return everything(tmp_path / "fixed")


@pytest.mark.parametrize(
    ("executor", "batch"),
    [
        pytest.param(Serial(), 1, id="serial"),
        pytest.param(Serial(), 3, id="batch"),
        pytest.param(Processes(2), 2, id="jobs"),
        pytest.param(Ray(2), 1, id="ray", marks=pytest.mark.slow),
    ],
)
def test_a_mixed_folder_gives_what_each_file_gives_alone(
    tmp_path: Path, corpus: Path, executor: Executor, batch: int
) -> None:
    """The audio files and the sidecars, with graph and digest, are equal byte for byte to those of each file alone.

    There is one digest for each rate and number of channels.
    """
    rows = render(own(tmp_path), [corpus], tmp_path / "out", batch=batch, executor=executor)
    assert [row.id for row in rows] == sorted(path.stem for path in corpus.iterdir())
    found, expected = everything(tmp_path / "out"), one_by_one(tmp_path, corpus)
    assert len(found) == 24
    assert found == expected
    info = soundfile.info(tmp_path / "out" / "0_44100_2.flac")
    assert (info.samplerate, info.channels) == (44100, 2)
    digests = {said(tmp_path / "out", path.stem)["digest"] for path in corpus.iterdir()}
    assert len(digests) == len(RATES) * 2


def test_a_resumed_run_renders_only_the_file_that_has_another_rate_now(tmp_path: Path, corpus: Path) -> None:
    render(own(tmp_path), [corpus], tmp_path / "out")
    shutil.copy(corpus / "0_16000_1.wav", corpus / "1_8000_2.wav")
    rows = render(own(tmp_path), [corpus], tmp_path / "out", resume=True)
    assert [row.id for row in rows if not row.cached] == ["1_8000_2"]
    assert soundfile.info(tmp_path / "out" / "1_8000_2.flac").samplerate == 16000


def test_a_file_without_a_graph_fails_and_the_others_are_rendered(tmp_path: Path, corpus: Path) -> None:
    """Files with two channels have an error, because the node takes one, and lose the results of an earlier run.

    A file without audio has an error too. The ledger has no digest for these files.
    """
    path = written(tmp_path, 'inputs: {x: {audio: file, channels: file}}\nnodes: {f: {node: frame, x: x, length: 80, hop: 80}}\n'
                   "outputs: {y: f}\n")  # fmt: skip
    pipeline = Pipeline(path, ())
    soundfile.write(corpus / "mono.wav", np.ones(800), 8000)
    render(pipeline, [corpus / "mono.wav"], tmp_path / "out")
    soundfile.write(corpus / "mono.wav", np.ones((800, 2)), 8000)
    (corpus / "text.wav").write_text("no audio")
    rows = {row.id: row for row in render(pipeline, [corpus], tmp_path / "out", resume=True)}
    failed = {id for id, row in rows.items() if row.error}
    assert failed == {"mono", "text", *(path.stem for path in corpus.glob("*_2.wav"))}
    assert rows["mono"].error.startswith(f"{corpus}/mono.wav (8000 Hz, channels: 2): {path}:2: nodes.f")
    assert "is not an audio file" in rows["text"].error
    assert not (tmp_path / "out" / "mono.npz").exists()
    lines = [json.loads(line) for line in (tmp_path / "out" / "ledger.jsonl").read_text().splitlines()]
    assert {line["id"] for line in lines if line["status"] == "failed"} == failed
    assert {line["digest"] for line in lines if line["status"] == "failed"} == {""}  # no graph was used


OTHER: dict[str, Callable[[Path], object]] = {
    "is missing": lambda path: path.unlink(),
    "has another rate": lambda path: soundfile.write(path, np.ones(700), 22050),
    "is no audio": lambda path: path.write_text("no audio"),
}
"""Changes of a recording between two runs."""


@pytest.mark.parametrize("resume", [False, True])
@pytest.mark.parametrize("lost", [False, True], ids=["one", "all"])
@pytest.mark.parametrize("change", OTHER)
def test_a_file_that_has_changed_is_of_the_same_pipeline(
    tmp_path: Path, corpus: Path, change: str, lost: bool, resume: bool
) -> None:
    """The result of a changed file may be replaced without `overwrite`, and the other files are rendered.

    A file that is missing or is no audio is an error of this file only, in every run. change: a key of OTHER; lost:
    whether both files are changed, or only the first one.
    """
    files = [corpus / "0_8000_1.wav", corpus / "0_16000_1.wav"]
    render(own(tmp_path), files, tmp_path / "out")
    for path in files if lost else files[:1]:
        OTHER[change](path)
    rows = render(own(tmp_path), files, tmp_path / "out", overwrite=False, resume=resume)
    assert [bool(row.error) for row in rows] == [change != "has another rate", lost and change != "has another rate"]
    again = render(own(tmp_path), files, tmp_path / "out", overwrite=False, resume=resume)
    assert [bool(row.error) for row in again] == [bool(row.error) for row in rows]


def test_a_file_that_is_back_with_another_rate_is_of_the_same_pipeline(tmp_path: Path, corpus: Path) -> None:
    """The result of a file that was missing in one run may be replaced when the file is back with another rate.

    The last line of the ledger is that of a failed item; the sidecar still has the old rate.
    """
    file = corpus / "0_8000_1.wav"
    render(own(tmp_path), [file], tmp_path / "out")
    file.unlink()
    render(own(tmp_path), [file], tmp_path / "out", overwrite=False)
    assert (tmp_path / "out" / "0_8000_1.flac").exists()
    soundfile.write(file, np.ones(700), 22050)
    (row,) = render(own(tmp_path), [file], tmp_path / "out", overwrite=False)
    assert not row.error
    assert soundfile.info(tmp_path / "out" / "0_8000_1.flac").samplerate == 22050


@pytest.mark.parametrize("change", ["none", *OTHER])
def test_results_of_another_pipeline_are_not_replaced(tmp_path: Path, corpus: Path, change: str) -> None:
    file = corpus / "0_8000_1.wav"
    render(own(tmp_path), [file], tmp_path / "out")
    if change in OTHER:
        OTHER[change](file)
    with pytest.raises(RequestError, match="'0_8000_1': it was made with another pipeline"):
        render(own(tmp_path, OWN, "gain=0.02"), [file], tmp_path / "out", overwrite=False)
    assert (tmp_path / "out" / "0_8000_1.flac").exists()


def test_a_resumed_run_keeps_failed_results(tmp_path: Path, corpus: Path) -> None:
    """A file that could not be read has one line in the ledger, until it changes or `retry_failed` is given."""
    (corpus / "text.wav").write_text("no audio")
    files = [corpus / "0_8000_1.wav", corpus / "text.wav", corpus / "missing.wav"]

    def cached(**settings: Any) -> list[bool]:
        rows = render(own(tmp_path), files, tmp_path / "out", **settings)
        assert [bool(row.error) for row in rows] == [False, True, True]
        return [row.cached for row in rows]

    ledger = tmp_path / "out" / "ledger.jsonl"
    cached()
    first = ledger.read_text()
    assert cached(resume=True) == [True, True, True]
    assert ledger.read_text() == first
    assert cached(retry_failed=True) == [True, False, False]
    (corpus / "text.wav").write_text("still no audio")
    assert cached(resume=True) == [True, False, True]
    assert len(ledger.read_text().splitlines()) == 6


def test_a_failed_result_without_a_graph_is_kept_only_for_the_same_reason(tmp_path: Path, corpus: Path) -> None:
    text = OWN.replace("gain: 0.01}", "gain: 0.01, q: 1}").replace(
        "outputs:", '  f: {node: frame, x: x, length: "${q}", hop: 80}\noutputs:'
    )
    files = [corpus / "0_8000_1.wav", corpus / "0_8000_2.wav"]  # `frame` takes one channel
    render(own(tmp_path, text), files, tmp_path / "out")
    assert render(own(tmp_path, text), files, tmp_path / "out", resume=True)[1].cached
    row = render(own(tmp_path, text.replace(" f: {", " g: {")), files, tmp_path / "out", resume=True)[1]
    assert "nodes.g" in row.error and not row.cached
    assert not render(own(tmp_path), files, tmp_path / "out", resume=True)[1].error


def test_items_with_equal_numbers_share_them_and_a_file_is_read_once(
    tmp_path: Path, corpus: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Items with the same rate and channels share one mapping, and the header of each file is read once.

    A corpus can have a million items, and many parts of one file.
    """
    read: list[Path] = []

    def reading(path: Path) -> Any:
        read.append(path)
        return read_header(path)

    def job(values: Values) -> Any:
        return values

    monkeypatch.setattr(by_file, "read_header", reading)
    files = [corpus / "0_8000_1.wav", corpus / "1_8000_1.wav"]
    items = [Item(f"{path.stem}_{k}", path, Fraction(k, 100)) for k in range(3) for path in files]
    work = by_file.items_by_file(items, (Wanted("x", "audio"), Wanted("x", "channels")), job)
    assert sorted(read) == files
    assert len({id(item.values) for item in work.items}) == 1
    assert dict(work.items[0].values) == {Wanted("x", "audio"): 8000, Wanted("x", "channels"): 1}


PLUG = """import importlib
from dspgraph import Audio, Input, Node, Output
importlib.import_module("" + "json")
class Plug(Node):
    x = Input(Audio)
    y = Output(Audio)
    def streams(self, x):
        return (x,)
    def step(self, state, x):
        return state, x
"""
"""A plugin that imports a module by a computed name."""


def test_imports_by_computed_names_are_noted_once(tmp_path: Path, corpus: Path) -> None:
    """An import by a computed name gives one note.

    The digest does not cover the imported module: after a change in it, `resume` would keep old results.
    """
    plugin = written(tmp_path, PLUG, "plug.py")
    pipeline = Pipeline(written(tmp_path, OWN.replace("mix, x: [x, quiet]", "plug, x: x")), (), None, [plugin])
    notes: list[str] = []
    render(pipeline, [corpus], tmp_path / "out", note=notes.append)
    assert notes == [
        f"{plugin}:3: a module is imported by a computed name, which the digest does not cover: after a change in that "
        "module, --resume takes old results for up to date; import it by its name"
    ]


def test_a_pipeline_that_has_no_graph_for_any_file_is_refused(tmp_path: Path, corpus: Path) -> None:
    text = OWN.replace("mix", "none")
    with pytest.raises(PipelineError, match=r"nodes\.sum\.node: no node is called 'none'"):
        render(own(tmp_path, text), [corpus], tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_one_channel_of_a_manifest_is_mono(tmp_path: Path, corpus: Path) -> None:
    (tmp_path / "list.jsonl").write_text('{"id": "left", "path": "in/0_44100_2.wav", "channel": 0}\n')
    (row,) = render(own(tmp_path), [tmp_path / "list.jsonl"], tmp_path / "out")
    assert row.notes == ("took channel 0 of 2",)
    info = soundfile.info(tmp_path / "out" / "left.flac")
    assert (info.samplerate, info.channels) == (44100, 1)


MIX = """
inputs:
  a: {audio: %s}
  b: {audio: %s}
nodes:
  sum: {node: mix, x: [a, b]}
outputs:
  y: sum
"""


def pair(corpus: Path) -> Mapping[str, Path]:
    return {"a": corpus / "0_8000_1.wav", "b": corpus / "0_16000_1.wav"}


def test_each_of_several_inputs_has_the_rate_of_its_own_file(tmp_path: Path, corpus: Path) -> None:
    with pytest.raises(PipelineError, match="8000 Hz.*16000 Hz"):
        render(own(tmp_path, MIX % ("file", "file")), [pair(corpus)], tmp_path / "out")


def test_a_var_has_the_rate_of_the_first_file(tmp_path: Path, corpus: Path) -> None:
    text = "vars: {rate: file}" + MIX % ('"${rate}"', '"${rate}"')
    (row,) = render(own(tmp_path, text), [pair(corpus)], tmp_path / "out")
    assert row.notes[0] == "b: resampled from 16000 Hz to 8000 Hz"
    assert soundfile.info(tmp_path / "out" / "0_8000_1.flac").samplerate == 8000


def test_an_array_file_has_no_rate(tmp_path: Path) -> None:
    np.savez(tmp_path / "x.npz", x=np.ones(10))
    with pytest.raises(
        RequestError, match=r"x\.npz: the input 'x' has the rate of an audio file; an \.npz file has none"
    ):
        render(own(tmp_path), [tmp_path / "x.npz"], tmp_path / "out")
    (row,) = render(own(tmp_path), [{"x": tmp_path / "none.npz"}], tmp_path / "out")
    assert row.error == f"{tmp_path}/none.npz does not exist"


def test_a_comparison_compares_every_file_at_its_own_rate(tmp_path: Path, corpus: Path) -> None:
    """Sounds and scores are those of comparisons of a file alone, with its rate and channels written out.

    Two of the three files are also compared alone. With `resume`, all three results are taken from the first run.
    """
    path = written(tmp_path, OWN)
    several = choices(path, ())
    files = [corpus / "1_44100_2.wav", corpus / "0_8000_1.wav", corpus / "0_44100_2.wav"]
    found = compare(several, files, tmp_path / "out", "t", names=["si_sdr"])
    for file in files[:2]:
        _, rate, channels = file.stem.split("_")
        fixed = choices(path, [f"rate={rate}", f"channels={channels}"])
        alone = compare(fixed, [file], tmp_path / file.stem, "t", names=["si_sdr"])
        assert [one for one in found.scores if one.recording == file.stem] == alone.scores
        for sound in (tmp_path / file.stem / "audio").rglob("*.flac"):
            assert (tmp_path / "out" / sound.relative_to(tmp_path / file.stem)).read_bytes() == sound.read_bytes()
    again: list[bool] = []
    compare(several, files, tmp_path / "out", "t", names=["si_sdr"], resume=True, overwrite=False,
            done=lambda row: again.append(row.cached))  # fmt: skip
    assert again == [True] * 3


SLOT = """
inputs: {x: {audio: file, channels: file}}
nodes: {e: {node: gain, x: x, gain: 1}}
outputs: {y: e}
variants:
  e:
    other: {node: gain, x: x, gain: 2}
    mono: {node: match_level, x: x, like: x}
"""
"""A slot with a variant, `mono`, that has no graph for a file with two channels."""


def test_a_choice_without_a_graph_for_a_recording_leaves_the_others(tmp_path: Path, corpus: Path) -> None:
    path = written(tmp_path, SLOT)
    files = [corpus / "0_16000_1.wav", corpus / "0_16000_2.wav"]
    found = compare(choices(path, ()), files, tmp_path / "out", "t", names=["si_sdr"])
    failed = {(one.recording, one.variant): one.error for one in found.scores if one.error}
    assert list(failed) == [("0_16000_2", "mono")]
    assert failed["0_16000_2", "mono"].startswith(f"{files[1]} (16000 Hz, channels: 2): {path}:8: ")
    assert failed["0_16000_2", "mono"].endswith("; change that with -s, or leave e as it is with --swap e=gain")
    alone = compare(choices(path, (), {"e": "gain,other"}), files[1:], tmp_path / "alone", "t", names=["si_sdr"])
    assert [one for one in found.scores if one.recording == "0_16000_2" and not one.error] == alone.scores
    sounds = {str(path.relative_to(tmp_path / "out" / "audio")) for path in (tmp_path / "out").rglob("*.flac")}
    every = {f"{name}/{file.stem}.flac" for name in ("reference", "gain", "other", "mono") for file in files}
    assert sounds == every - {"mono/0_16000_2.flac"}
    again = compare(choices(path, ()), files, tmp_path / "out", "t", names=["si_sdr"], resume=True, overwrite=False)
    assert again.scores == found.scores


def test_a_choice_without_a_graph_for_any_recording_is_refused(tmp_path: Path, corpus: Path) -> None:
    several = choices(written(tmp_path, SLOT), ())
    with pytest.raises(RequestError, match=r"^'mono' cannot be compared: .*, or leave e as it is with --swap e=gain$"):
        compare(several, [corpus / "0_16000_2.wav"], tmp_path / "out", "t", names=["si_sdr"])
    assert not (tmp_path / "out").exists()


INNER = """
about: %s
vars: {rate: 16000}
inputs: {x: {audio: "${rate}"}}
nodes: {g: {node: gain, x: x, gain: %s}}
outputs: {x: g}
"""
OUTER = """
vars: {rate: file}
inputs: {x: {audio: "${rate}"}}
nodes: {in: {pipeline: inner.yaml, x: x, rate: "${rate}"}}
outputs: {x: in}
"""


def test_a_comparison_of_another_inner_pipeline_is_not_replaced(tmp_path: Path, corpus: Path) -> None:
    """Another gain in the inner pipeline makes another comparison; another text `about` does not.

    The text `about` does not change the sounds.
    """

    def run(about: str, gain: float) -> float:
        written(tmp_path, INNER % (about, gain), "inner.yaml")
        found = choices(written(tmp_path, f"about: {about}" + OUTER), ())
        files = [corpus / "0_44100_1.wav"]
        results = compare(found, files, tmp_path / "out", "t", names=["lsd"], overwrite=False)
        value = results.scores[0].values["lsd"]
        assert value is not None
        return value

    first = run("a", 2)
    assert run("b", 2) == first
    with pytest.raises(RequestError, match="holds the results of another run, .*: the variant 'mine'"):
        run("b", 0.1)


def test_the_number_of_stages_is_given_if_it_is_that_of_all_recordings(tmp_path: Path, corpus: Path) -> None:
    several = choices(written(tmp_path, SLOT), (), {"e": "gain,mono"})
    mono, stereo = corpus / "0_16000_1.wav", corpus / "0_16000_2.wav"
    one = compare(several, [mono, corpus / "0_8000_1.wav"], tmp_path / "one", "t", names=["si_sdr"])
    assert one.stages == {"asked": 2, "computed": 2}
    assert compare(several, [mono, stereo], tmp_path / "two", "t", names=["si_sdr"]).stages == {}


def test_a_comparison_notes_an_import_by_a_computed_name_once(tmp_path: Path, corpus: Path) -> None:
    text = SLOT.replace("mono: {node: match_level, x: x, like: x}", "own: {node: plug, x: x}")
    found = choices(written(tmp_path, text), (), None, [written(tmp_path, PLUG, "plug.py")])
    files, notes = [corpus / "0_16000_1.wav", corpus / "0_8000_1.wav"], list[str]()
    compare(found, files, tmp_path / "out", "t", names=["si_sdr"], note=notes.append)
    assert [note.partition(": ")[0] for note in notes] == [f"{tmp_path}/plug.py:3"]


def test_a_comparison_of_the_own_rate_with_another(tmp_path: Path, corpus: Path) -> None:
    several = choices(written(tmp_path, OWN), ["rate=8000,file", "channels=1"])
    compare(several, [corpus / "0_44100_1.wav"], tmp_path / "out", "t", names=["si_sdr"])
    rates = {path.parent.name: soundfile.info(path).samplerate for path in (tmp_path / "out").rglob("*.flac")}
    assert rates == {"reference": 44100, "rate=8000": 8000, "rate=file": 44100}


# ---- without a file -------------------------------------------------------------------------------------------------


def test_python_gets_the_graph_of_a_file_or_of_numbers(tmp_path: Path, corpus: Path) -> None:
    path = written(tmp_path, OWN)
    graph = load(path, file=corpus / "0_44100_2.wav")
    assert graph == load(path, rate=44100, channels=2)
    assert load(path, rate=8000, file=corpus / "0_44100_2.wav").inputs["x"].rate == 8000
    with pytest.raises(
        PipelineError, match=r"mine\.yaml:2: vars\.rate: is the rate of the file .* as in -s rate=16000"
    ):
        load(path)


@pytest.mark.parametrize("overrides", [(), ("rate=file", "gain=0.1"), ("rate=file", "channels=file")])
def test_the_graph_of_a_file_says_how_to_load_it_without_the_file(
    tmp_path: Path, corpus: Path, overrides: tuple[str, ...]
) -> None:
    """`loaded` has the arguments that load the same graph without the file; recordings of live graphs need them."""
    graph = load(written(tmp_path, OWN), overrides, {"quiet": "off"}, file=corpus / "0_44100_2.wav")
    assert graph.loaded is not None
    again = load(graph.loaded.name, graph.loaded.overrides, graph.loaded.swap)
    assert again == graph
    assert again.loaded is not None and set(again.loaded.overrides) == set(graph.loaded.overrides)


def test_the_graph_of_a_file_that_no_var_stands_for_does_not_say_how_to_load_it(tmp_path: Path, corpus: Path) -> None:
    assert load(written(tmp_path, MIX % ("file", 8000)), file=corpus / "0_8000_1.wav").loaded is None


def test_a_value_in_a_list_is_told_to_be_a_number(tmp_path: Path) -> None:
    text = OWN.replace("rate: file", "rates: [file, 1]").replace("${rate}", "${rates.0}")
    with pytest.raises(PipelineError, match=r"vars\.rates\.0: is the rate .*: give a number, such as 16000$"):
        _ = own(tmp_path, text).graph


def test_a_literal_is_told_where_to_write_a_number(tmp_path: Path) -> None:
    with pytest.raises(PipelineError, match=r"mine\.yaml:3: inputs\.a\.audio: .* as in 'audio: 16000'"):
        _ = own(tmp_path, MIX % ("file", 8000)).graph


def test_one_var_is_not_a_rate_and_a_number_of_channels(tmp_path: Path) -> None:
    text = OWN.replace('channels: "${channels}"', 'channels: "${rate}"')
    with pytest.raises(PipelineError, match=r"vars\.rate: is 'file', for a rate and for a number of channels"):
        own(tmp_path, text)


def test_a_pipeline_used_as_a_node_gets_the_rate_by_its_var(tmp_path: Path, corpus: Path) -> None:
    written(tmp_path, OWN, "inner.yaml")
    outer = 'vars: {rate: file}\ninputs: {x: {audio: "${rate}"}}\nnodes: {in: {pipeline: inner.yaml, x: x%s}}\noutputs: {y: in}\n'
    with pytest.raises(
        PipelineError, match=r"inner\.yaml:2: vars\.rate: a pipeline that is used as a node has no file"
    ):
        _ = own(tmp_path, outer % "").for_file(corpus / "0_8000_1.wav").graph
    pipeline = own(tmp_path, outer % ', rate: "${rate}", channels: 1').for_file(corpus / "0_8000_1.wav")
    assert pipeline.graph.outputs["y"].rate == 8000


@pytest.mark.parametrize(
    ("arguments", "code", "expected"),
    [
        (["show"], 0, "vars.rate: that of the file"),
        (["show", "--file", "in/0_44100_2.wav"], 0, "Audio  44100 Hz  2 channels"),
        (["show", "--file", "in/0_44100_2.wav", "-s", "rate=8000", "-s", "channels=1"], 2, "leave out --file"),
        (["check"], 0, "the cut changes nothing"),
        (["check", "in/0_44100_2.wav"], 0, "the cut changes nothing"),
        (["render", "in", "-o", "out", "--profile"], 2, "here each rate of a file has its own: set the rate"),
        (["render", "in/0_8000_2.wav", "-o", "out", "--tap", "noise"], 0, "out/0_8000_2.noise.flac"),
        (["plot", "in/0_8000_2.wav"], 0, "0_8000_2.png"),
    ],
)
def test_commands(
    tmp_path: Path, corpus: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], code: int, expected: str
) -> None:
    monkeypatch.chdir(tmp_path)
    command, *rest = arguments
    name = ["--pipeline", str(written(tmp_path, OWN))] if command == "plot" else [str(written(tmp_path, OWN))]
    result = CliRunner().invoke(main, [command, *name, *rest])
    assert (result.exit_code, expected in result.output) == (code, True), result.output

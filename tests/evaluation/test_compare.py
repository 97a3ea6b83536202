"""Comparison of variants: what is computed, kept and scored, and how a failing variant affects the others."""

import csv
import dataclasses
import json
import math
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from dspgraph import Array, Audio, Graph, Input, Node, Output, RequestError, State, load
from dspgraph.errors import FileError
from dspgraph.evaluation import metrics as measures
from dspgraph.evaluation.compare import PAGE, CompareJob, compare
from dspgraph.evaluation.compared import Compared
from dspgraph.evaluation.listening import REFERENCE
from dspgraph.evaluation.results import Results, Score
from dspgraph.evaluation.variants import Choice, choices
from dspgraph.io.atomic import is_part
from dspgraph.io.audio import AudioSource
from dspgraph.registry import find
from dspgraph.rendering.executors.process import Processes
from dspgraph.rendering.executors.ray import Ray
from dspgraph.rendering.item import Item
from dspgraph.rendering.job import Executor
from dspgraph.rendering.ledger import Ledger
from dspgraph.rendering.render import render
from helpers.speech import speech
from helpers.toys import ToyNoise, ToyScale, ToySum

RATE = 16000


class Loud(Node):
    """Return the signal; fail at a sample above 0.9."""

    x = Input(Audio)
    y = Output(Audio)

    def step(self, state: State, x: Array) -> tuple[State, Array]:
        if x.max() > 0.9:
            raise ZeroDivisionError("too loud")
        return state, x


def toy(node: Node, inputs: Audio = Audio(RATE)) -> Graph:  # noqa: B008 it never changes
    return Graph({"first": ToyScale(factor=1.0), "end": node}, {"first.x": "x", f"end.{node.inputs[0].name}": "first"},
                 {"x": inputs}, {"y": "end"})  # fmt: skip


def noisy(level: float) -> Graph:
    nodes = {"draw": ToyNoise(), "scaled": ToyScale(factor=level), "end": ToySum()}
    wires = {"draw.like": "x", "scaled.x": "draw", "end.x": ("x", "scaled")}
    return Graph(nodes, wires, {"x": Audio(RATE)}, {"y": "end"})


TWO = [Choice("half", toy(ToyScale(factor=0.5))), Choice("loud", toy(Loud()))]


def clips(folder: Path, count: int, seconds: float = 0.5, step: int = 6000) -> Path:
    folder.mkdir(exist_ok=True)
    for k in range(count):
        soundfile.write(folder / f"c{k}.wav", speech()[k * step :][: int(seconds * RATE)], RATE)
    return folder


def names(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def compared(found: Sequence[Choice], files: Any, out: Path, *metrics: str, **options: Any) -> Results:
    return compare(found, files, out, "toys", "", metrics or ("lsd", "si_sdr"), **options)


# ---- real speech ----------------------------------------------------------------------------------------------------


EXCITATIONS = [
    dataclasses.replace(one, name=one.swaps["excitation"])
    for one in choices("lpc_vocoder", vary=["excitation"])
    if isinstance(one, Choice)
]


@pytest.fixture(scope="module")
def five(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, Results, int]:
    """Compare the four excitations of lpc_vocoder on five files c0.wav to c4.wav of 0.5 s, by all metrics.

    Return the folder of the files, the folder of the results, the results, and how many blocks the node `lpc` was
    given.
    """
    folder = tmp_path_factory.mktemp("five")
    with pytest.MonkeyPatch.context() as patch:
        given = counted(patch, "lpc")
        found = compare(EXCITATIONS, [clips(folder / "in", 5)], folder / "out", "lpc_vocoder")
    return folder / "in", folder / "out", found, len(given)


def counted(patch: pytest.MonkeyPatch, name: str) -> list[int]:
    """Return a list that gets an item for every `step` of a node of the type `name`, until `patch` is undone."""
    kind, calls = find(name), list[int]()
    before = kind.step

    def step(self: Node, state: State, *blocks: Array) -> Any:
        calls.append(1)
        return before(self, state, *blocks)

    patch.setattr(kind, "step", step)
    return calls


@pytest.mark.thorough
def test_what_is_the_same_in_all_variants_is_computed_once(
    five: tuple[Path, Path, Results, int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The node `lpc` gets as many blocks when all four variants are compared as when one variant is rendered alone.

    Of the 42 stages of the four graphs, 27 are computed.
    """
    files, _, found, given = five
    assert found.stages == {"asked": 42, "computed": 27}
    alone = counted(monkeypatch, "lpc")
    render(load("lpc_vocoder", (), {"excitation": "residual"}), [files], tmp_path)
    assert given == len(alone) > 0


@pytest.mark.thorough
def test_every_metric_says_something_and_the_residual_is_first(five: tuple[Path, Path, Results, int]) -> None:
    _, _, found, _ = five
    assert [one.name for one in found.metrics] == list(measures.METRICS)
    assert [one.name for one in found.variants] == ["pulse_noise", "whisper", "residual", "mulaw_residual"]
    assert not [score.error for score in found.scores if score.error]
    assert len(found.scores) == 20
    means = {(one.variant, one.metric): one for one in found.means()}
    for metric in found.metrics:
        without = {one.name for one in found.variants if not means[one.name, metric.name].n}
        assert without <= ({"whisper"} if metric.name == "log_f0_rmse" else set()), metric.name  # it has no voice
        ranked = found.ranking(metric.name)
        best = {one.name for one in found.variants if means[one.name, metric.name].mean == means[ranked[0], metric.name].mean}  # fmt: skip
        assert "residual" in best, metric.name
    for name, least in (("lsd", 0.01), ("mcd", 0.01), ("mrstft", 0.001)):  # 24 bits: inaudible, and nearly unmeasurable
        assert means["residual", name].mean < least
    assert means["residual", "si_sdr"].mean == 100
    assert found.ranking("lsd") == ["residual", "mulaw_residual", "pulse_noise", "whisper"]


@pytest.mark.thorough
@pytest.mark.parametrize("variant", ["whisper", "mulaw_residual"])
def test_what_is_heard_is_what_render_writes(
    five: tuple[Path, Path, Results, int], variant: str, tmp_path: Path
) -> None:
    files, out, _, _ = five
    render(load("lpc_vocoder", (), {"excitation": variant}), [files], tmp_path)
    for path in sorted(tmp_path.glob("*.flac")):
        assert (out / "audio" / variant / path.name).read_bytes() == path.read_bytes()
    np.testing.assert_array_equal(soundfile.read(out / "audio" / REFERENCE / "c3.flac")[0],
                                  soundfile.read(files / "c3.wav")[0])  # fmt: skip


@pytest.mark.thorough
def test_the_files_say_what_was_given_back(five: tuple[Path, Path, Results, int]) -> None:
    files, out, found, _ = five
    said = json.loads((out / "results.json").read_text())
    assert said["scores"] == [dataclasses.asdict(score) for score in found.scores]
    assert said["recordings"] == [{"id": f"c{k}", "source": str(files / f"c{k}.wav"), "seconds": 0.5} for k in range(5)]  # fmt: skip
    assert [one["digest"] for one in said["variants"]] == [choice.graph.digest for choice in EXCITATIONS]
    with (out / "results.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    for row, score in zip(rows, found.scores, strict=True):
        assert (row["recording"], row["variant"], row["error"]) == (score.recording, score.variant, "")
        for name, value in score.values.items():
            assert row[name] == ("" if value is None else repr(value))
    page = (out / PAGE).read_text()
    assert all(one.id in page for one in found.recordings)


@pytest.mark.thorough
def test_a_score_is_what_measuring_the_files_gives(five: tuple[Path, Path, Results, int]) -> None:
    _, out, found, _ = five
    (score,) = (one for one in found.scores if (one.recording, one.variant) == ("c4", "whisper"))
    reference, degraded = (out / "audio" / name / "c4.flac" for name in (REFERENCE, "whisper"))
    measured = measures.score(reference, degraded)[1]
    assert score.values == measured.values
    assert score.reasons == measured.reasons


# ---- known signals --------------------------------------------------------------------------------------------------


def test_known_signals_have_the_values_that_can_be_computed_by_hand(tmp_path: Path) -> None:
    delay = Graph({"end": find("delay")(samples=3)}, {"end.x": "x"}, {"x": Audio(RATE)}, {"y": "end"})
    found = [
        Choice("same", toy(ToyScale(factor=1.0))), Choice("half", toy(ToyScale(factor=0.5))),
        Choice("late", delay), Choice("noisy", noisy(0.005)),
    ]  # fmt: skip
    clips(tmp_path / "in", 1, 1.0)
    soundfile.write(tmp_path / "in" / "hiss.wav", 0.1 * np.random.default_rng(0).standard_normal(8000), RATE, "FLOAT")
    results = compared(found, [tmp_path / "in"], tmp_path / "out", "mcd", "lsd", "si_sdr", "loudness_difference")
    same, half, late, noise, _, hiss, *_ = (dict(score.values) for score in results.scores)
    assert same == {"mcd": 0.0, "lsd": 0.0, "si_sdr": 100.0, "loudness_difference": 0.0}
    assert half["loudness_difference"] == pytest.approx(20 * math.log10(0.5), abs=1e-3)
    assert half["mcd"] == pytest.approx(0, abs=0.01)  # the level is not in it; half a sample loses a bit of 16
    assert hiss["lsd"] == pytest.approx(20 * math.log10(2), abs=0.01)  # no bin of it is below the floor, as in speech
    x = soundfile.read(tmp_path / "in" / "c0.wav")[0]
    x = x - x.mean()
    y = np.concatenate([np.zeros(3), x[:-3]])
    y = y - y.mean()
    target = (x * y).sum() / (x * x).sum() * x
    assert late["si_sdr"] == pytest.approx(10 * math.log10((target**2).sum() / ((target - y) ** 2).sum()), abs=0.01)
    snr = 10 * math.log10((x**2).mean() / 0.005**2)
    assert noise["si_sdr"] == pytest.approx(snr, abs=0.15)  # the power of 16000 drawn numbers is known to 0.05 dB


# ---- what cannot be compared ------------------------------------------------------------------------------------------


def refused(found: Sequence[Choice], tmp_path: Path, message: str, *metrics: str, files: Any = None) -> None:
    """Assert that a comparison raises RequestError before it makes its output folder, "out" in `tmp_path`.

    found: the choices to compare; message: a regular expression that must match within the message; metrics: names of
    metrics, by default two; files: a list of recordings, by default one that is made in the folder "in".
    """
    with pytest.raises(RequestError, match=message):
        compared(found, files or [clips(tmp_path / "in", 1)], tmp_path / "out", *metrics)
    assert not (tmp_path / "out").exists()


def test_graphs_that_cannot_be_heard_are_refused(tmp_path: Path) -> None:
    one, rows = toy(ToyScale()), load("f0")
    pair = Graph({"end": ToySum()}, {"end.x": ("x", "z")}, {"x": Audio(RATE), "z": Audio(RATE)}, {"y": "end"})
    several = Graph(one.nodes, one.wires, one.inputs, {"a": "first", "b": "end"})
    refused([Choice("p", rows)], tmp_path, "p: a graph to compare has one audio output, .*'speech'; found none")
    refused([Choice("p", pair)], tmp_path, "p: a graph to compare takes one audio input; found x: Audio.*, z: Audio")
    refused([Choice("p", several)], tmp_path, "with the name of its input, 'x'; found a, b")
    refused(
        [Choice("p", toy(ToyScale(), Audio(7999)))], tmp_path, "p: .* samples per second, 8000 to 192000; found .*7999"
    )
    refused([], tmp_path, "a comparison needs at least one variant; found none")
    refused([Choice("p", one), Choice("p", one)], tmp_path, "a name of its own, .*; found p twice: rename one")
    refused([Choice(REFERENCE, one)], tmp_path, "'reference' and 'anchor' .of blind tests.; found reference twice")


def test_of_several_audio_outputs_the_one_called_as_the_input_is_heard(tmp_path: Path) -> None:
    one = toy(ToyScale(factor=0.5))
    several = Graph(one.nodes, one.wires, one.inputs, {"a": "first", "x": "end"})
    results = compared(
        [Choice("p", several)], [clips(tmp_path / "in", 1, 1.0)], tmp_path / "out", "loudness_difference"
    )
    assert results.scores[0].values["loudness_difference"] == pytest.approx(-6.02, abs=0.01)


def test_files_and_metrics_that_cannot_be_compared_are_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "rows.npz", x=np.zeros(4))
    refused(TWO, tmp_path, "only audio can be compared; found .*rows.npz", files=[tmp_path / "rows.npz"])
    refused(TWO, tmp_path, "there is no metric 'lsdd'; did you mean 'lsd'?", "lsdd")
    clips(tmp_path / "in", 1)
    clips(tmp_path / "other", 1)
    refused(TWO, tmp_path, "c0.wav and .*c0.wav would both be written to", files=[tmp_path / "in", tmp_path / "other"])
    with pytest.raises(RequestError, match="is the output folder, its files are no inputs"):
        compared(TWO, [tmp_path / "in"], tmp_path / "in")
    (tmp_path / "taken").write_text("mine")
    with pytest.raises(RequestError, match="taken cannot be written to"):
        compared(TWO, [tmp_path / "in"], tmp_path / "taken")
    assert (tmp_path / "taken").read_text() == "mine"
    assert names(tmp_path / "in") == ["c0.wav"]


def test_a_metric_named_twice_is_taken_once(tmp_path: Path) -> None:
    results = compared(TWO, [clips(tmp_path / "in", 1, 0.1)], tmp_path / "out", "si_sdr", "lsd", "si_sdr")
    assert [one.name for one in results.metrics] == ["si_sdr", "lsd"]


def test_what_was_written_is_no_input_of_the_next_run(tmp_path: Path) -> None:
    clips(tmp_path / "in", 2, 0.1)
    for _ in range(2):
        results = compared(TWO, [tmp_path / "in"], tmp_path / "in" / "out")
        assert [one.id for one in results.recordings] == ["c0", "c1"]
    with pytest.raises(RequestError, match="would overwrite an input file"):
        compared(TWO, [tmp_path / "in" / "out" / "audio" / REFERENCE / "c0.flac"], tmp_path / "in" / "out")


# ---- what fails -----------------------------------------------------------------------------------------------------


def test_a_variant_that_fails_costs_itself_only(tmp_path: Path) -> None:
    clips(tmp_path / "in", 2, 0.1)
    soundfile.write(tmp_path / "in" / "c1.wav", np.full(1600, 0.95) * np.sign(speech(1600)), RATE)
    rows: list[Compared] = []
    results = compared(TWO, [tmp_path / "in"], tmp_path / "out", done=rows.append)
    errors = {(score.recording, score.variant): score.error for score in results.scores}
    assert {key for key, error in errors.items() if error} == {("c1", "loud")}
    assert (
        "c1.wav: end (loud) failed in the block that ends at 0.100 s: ZeroDivisionError: too loud"
        in errors["c1", "loud"]
    )
    assert rows[1].errors == [f"loud: {errors['c1', 'loud']}"]
    assert results.scores[2].values["si_sdr"] == 100
    assert names(tmp_path / "out" / "audio") == [
        "half/c0.flac", "half/c1.flac", "loud/c0.flac", "reference/c0.flac", "reference/c1.flac"
    ]  # fmt: skip
    assert "too loud" in (tmp_path / "out" / PAGE).read_text()


def test_a_recording_that_fails_costs_itself_only(tmp_path: Path) -> None:
    folder = clips(tmp_path / "in", 1, 0.2)
    content = (folder / "c0.wav").read_bytes()
    (folder / "cut.wav").write_bytes(content[: len(content) // 2])
    soundfile.write(folder / "nan.wav", np.array([0.1, np.nan]), RATE, "FLOAT")
    files = [folder / name for name in ("cut.wav", "c0.wav", "nan.wav", "missing.wav")]
    results = compared(TWO, files, tmp_path / "out")
    reasons = {"cut": "is truncated", "c0": "", "nan": "not a number, at 1", "missing": "does not exist"}
    assert [(score.recording, score.variant) for score in results.scores] == [
        (one, two.name) for one in reasons for two in TWO
    ]
    for score in results.scores:
        assert (reasons[score.recording] in score.error) and bool(score.error) == bool(reasons[score.recording])
    assert [one.seconds for one in results.recordings] == [0, 0.2, 0, 0]
    assert {mean.n for mean in results.means()} == {1}


def test_a_reference_that_cannot_be_read_again_costs_its_recording_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def reads(source: AudioSource) -> Array:
        if source.path.match("reference/c0.flac"):
            raise FileError(f"{source.path} cannot be read: it is gone")
        return read(source)

    folder, read = clips(tmp_path / "in", 2, 0.2), AudioSource.read
    monkeypatch.setattr(AudioSource, "read", reads)
    results = compared(TWO, [folder], tmp_path / "out")
    assert [(score.recording, "it is gone" in score.error) for score in results.scores] == [
        (name, name == "c0") for name in ("c0", "c1") for _ in TWO
    ]
    assert not any(score.error for score in results.scores if score.recording == "c1")


def test_a_metric_that_fails_is_an_error_of_that_score(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*arguments: Any, **options: Any) -> Any:
        raise ArithmeticError("beyond me")

    monkeypatch.setattr(measures, "evaluate", fails)
    results = compared(TWO, [clips(tmp_path / "in", 1, 0.1)], tmp_path / "out")
    assert [score.error for score in results.scores] == [f"{tmp_path}/in/c0.wav: ArithmeticError: beyond me"] * 2


def test_what_an_earlier_run_made_does_not_pass_for_what_failed(tmp_path: Path) -> None:
    clips(tmp_path / "in", 2, 0.1)
    compared(TWO, [tmp_path / "in"], tmp_path / "out")
    (tmp_path / "in" / "c0.wav").write_bytes(b"")
    soundfile.write(tmp_path / "in" / "c1.wav", np.full(1600, 0.95), RATE)
    compared(TWO, [tmp_path / "in"], tmp_path / "out")
    assert names(tmp_path / "out" / "audio") == ["half/c1.flac", "reference/c1.flac"]


def test_audio_that_no_comparison_has_written_stays(tmp_path: Path) -> None:
    """If a recording or a variant fails, files of another program in place of its audio are not removed."""
    clips(tmp_path / "in", 2, 0.1)
    (tmp_path / "in" / "c0.wav").write_bytes(b"")
    soundfile.write(tmp_path / "in" / "c1.wav", np.full(1600, 0.95), RATE)
    mine = [tmp_path / "out" / "audio" / name for name in ("reference/c0.flac", "half/c0.flac", "loud/c1.flac")]
    for path in mine:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("mine")
    for _ in range(2):
        results = compared(TWO, [tmp_path / "in"], tmp_path / "out")
        assert [bool(score.error) for score in results.scores] == [True, True, False, True]
        assert [path.read_text() for path in mine] == ["mine"] * 3


def test_audio_stays_if_the_input_is_not_there(tmp_path: Path) -> None:
    """Audio of an earlier run stays while its input file is missing.

    If the file is there again, but cannot be read, the audio of this recording is removed.
    """
    files = sorted(clips(tmp_path / "in", 2, 0.1).iterdir())
    compared(TWO, files, tmp_path / "out")
    before = names(tmp_path / "out" / "audio")
    (tmp_path / "in").rename(tmp_path / "away")
    results = compared(TWO, files, tmp_path / "out")
    assert all("does not exist" in score.error for score in results.scores)
    assert names(tmp_path / "out" / "audio") == before and len(before) == 6
    (tmp_path / "away").rename(tmp_path / "in")
    files[0].write_bytes(b"")
    compared(TWO, files, tmp_path / "out")
    assert names(tmp_path / "out" / "audio") == ["half/c1.flac", "loud/c1.flac", "reference/c1.flac"]


def test_a_variant_that_is_left_out_for_one_run_still_has_its_audio_removed(tmp_path: Path) -> None:
    clips(tmp_path / "in", 1, 0.1)
    for found in (TWO, TWO[:1]):
        compared(found, [tmp_path / "in"], tmp_path / "out")
    soundfile.write(tmp_path / "in" / "c0.wav", np.full(1600, 0.95), RATE)
    compared(TWO, [tmp_path / "in"], tmp_path / "out")
    assert names(tmp_path / "out" / "audio") == ["half/c0.flac", "reference/c0.flac"]


def test_a_worker_that_dies_leaves_no_audio_of_its_recording(tmp_path: Path) -> None:
    """The audio that this run wrote before its worker died is removed."""
    work = CompareJob(tuple(TWO), tmp_path / "out", ("lsd",))
    (item,) = (Item("c0", path) for path in clips(tmp_path / "in", 1, 0.1).iterdir())
    list(work.run([item]))
    row = work.without_stale_files(item, work.failed_result(item, "its worker died"), set())
    assert row.error.endswith("c0.wav: its worker died") and not names(tmp_path / "out")


def test_a_file_of_an_earlier_run_that_cannot_be_removed_is_said(tmp_path: Path) -> None:
    clips(tmp_path / "in", 2, 0.1)
    compared(TWO, [tmp_path / "in"], tmp_path / "out")
    soundfile.write(tmp_path / "in" / "c0.wav", np.full(1600, 0.95), RATE)
    (tmp_path / "in" / "c1.wav").write_bytes(b"")
    taken = [tmp_path / "out" / "audio" / "loud" / f"c{k}.flac" for k in range(2)]
    for path in taken:
        path.unlink()
        path.mkdir()
    results = compared(TWO, [tmp_path / "in"], tmp_path / "out")
    half, loud, *lost = (score.error for score in results.scores)
    assert half == ""
    assert f"; {taken[0]}, of an earlier run, cannot be removed: " in loud
    assert all(f"is empty (0 bytes); {taken[1]}, of an earlier run, cannot be removed: " in one for one in lost)


def test_a_link_that_leads_out_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "c0.flac").write_text("mine")
    (tmp_path / "out" / "audio").mkdir(parents=True)
    (tmp_path / "out" / "audio" / "half").symlink_to(tmp_path / "elsewhere")
    results = compared(TWO, [clips(tmp_path / "in", 1, 0.1)], tmp_path / "out")
    half, loud = results.scores
    assert "leads out of" in half.error
    assert not loud.error
    assert (tmp_path / "elsewhere" / "c0.flac").read_text() == "mine"


def test_an_interrupted_run_leaves_no_temporary_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(*arguments: Any) -> Any:
        raise KeyboardInterrupt

    clips(tmp_path / "in", 2, 0.1)
    (tmp_path / "out" / "audio").mkdir(parents=True)
    (tmp_path / "out" / "audio" / ".0123456789abcdef.part").touch()  # of a worker that was killed
    with pytest.raises(KeyboardInterrupt):
        compared(TWO, [tmp_path / "in"], tmp_path / "out", done=stop)
    for kind in (Loud, ToyScale):
        monkeypatch.setattr(kind, "step", stop)
        with pytest.raises(KeyboardInterrupt):
            compared(TWO, [tmp_path / "in"], tmp_path / "out")
    assert not [name for name in names(tmp_path / "out") if is_part(Path(name).name)]
    assert not {"results.csv", "results.json", PAGE} & {*names(tmp_path / "out")}


# ---- resume ---------------------------------------------------------------------------------------------------------


def resumed(found: Sequence[Choice], files: Path, out: Path, *metrics: str) -> list[str]:
    """Run a comparison with `resume`; return the ids of the recordings that it compares again, sorted.

    Assert that `started` is told the numbers of those and of the others. found: the choices; files: the folder of
    recordings; out: the output folder; metrics: the names of the metrics, by default two.
    """
    rows: list[Compared] = []
    counts: list[tuple[int, int]] = []
    started = lambda due, cached: counts.append((due, cached))  # noqa: E731
    compared(found, [files], out, *metrics, resume=True, done=rows.append, started=started)
    again = sorted(row.id for row in rows if not row.cached)
    assert counts == [(len(again), len(rows) - len(again))]
    return again


def test_an_interrupted_comparison_goes_on_with_the_same_results(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An interrupted and resumed comparison writes the files of one that was not interrupted, except for the ledger.

    They contain noise, reasons why values are missing, and notes. Only the recording that was not done is compared, and
    when the comparison is resumed once more, none is.
    """

    def stop(*arguments: Any) -> Any:
        raise KeyboardInterrupt

    files, metrics = clips(tmp_path / "in", 2, 0.3), ("lsd", "log_f0_rmse")
    soundfile.write(files / "c0.wav", np.zeros(4000), 8000)  # is converted, and has no pitch
    found = [Choice("noisy", noisy(0.5)), Choice("half", toy(ToyScale(factor=0.5)))]
    scores = compared(found, [files], tmp_path / "whole", *metrics).scores
    assert any(score.reasons for score in scores)
    with pytest.raises(KeyboardInterrupt):
        compared(found, [files], tmp_path / "out", *metrics, done=stop)
    assert "results.json" not in names(tmp_path / "out")
    assert resumed(found, files, tmp_path / "out", *metrics) == ["c1"]
    monkeypatch.setattr(ToyScale, "step", stop)
    assert resumed(found, files, tmp_path / "out", *metrics) == []
    whole = names(tmp_path / "whole")
    assert names(tmp_path / "out") == whole
    for name in whole:
        if name != "ledger.jsonl":  # it has the times of files
            assert (tmp_path / "out" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes(), name


def rewrite(path: Path) -> None:
    """Write a file again with the same content, but with a modification time in 1970."""
    path.write_bytes(path.read_bytes())
    os.utime(path, ns=(1, 1))


@pytest.mark.parametrize("changed", ["input", "reference", "variant", "removed", "ledger"])
def test_a_recording_is_compared_again_if_one_of_its_files_has_changed(tmp_path: Path, changed: str) -> None:
    files, out = clips(tmp_path / "in", 2, 0.1), tmp_path / "out"
    compared(TWO, [files], out)
    if changed == "input":
        rewrite(files / "c0.wav")
    elif changed == "removed":
        (out / "audio" / "half" / "c0.flac").unlink()
    elif changed == "ledger":
        first, second = sorted((out / "ledger.jsonl").read_text().splitlines(keepends=True))
        line = json.loads(first)
        line["scores"][0][1] = "text"
        (out / "ledger.jsonl").write_text(json.dumps(line) + "\n" + second)
    else:
        rewrite(out / "audio" / {"variant": "half"}.get(changed, changed) / "c0.flac")
    assert resumed(TWO, files, out) == ["c0"]
    assert resumed(TWO, files, out) == []


def test_all_recordings_are_compared_again_with_other_graphs_or_metrics(tmp_path: Path) -> None:
    files, out = clips(tmp_path / "in", 1, 0.1), tmp_path / "out"
    compared(TWO, [files], out)
    other = [dataclasses.replace(TWO[0], graph=toy(ToyScale(factor=0.25))), TWO[1]]
    for found, metrics in ((other, ()), (other, ("lsd",)), ([*other, Choice("more", toy(ToyScale(factor=2.0)))], ())):
        assert resumed(found, files, out, *metrics) == ["c0"]
        assert resumed(found, files, out, *metrics) == []


def test_all_recordings_are_compared_again_if_the_code_of_metrics_has_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files, out = clips(tmp_path / "in", 1, 0.1), tmp_path / "out"
    compared(TWO, [files], out)
    asked: list[str] = []

    def changed(*modules: str) -> dict[str, str]:
        asked.extend(modules)
        return {"source": "other"}

    monkeypatch.setattr("dspgraph.evaluation.compare.code_provenance", changed)
    assert resumed(TWO, files, out) == ["c0"]
    assert resumed(TWO, files, out) == []
    assert set(asked) == {"dspgraph.evaluation.metrics"}


def test_a_recording_with_an_error_is_compared_again(tmp_path: Path) -> None:
    files, out = clips(tmp_path / "in", 2, 0.1), tmp_path / "out"
    soundfile.write(files / "c0.wav", np.full(1600, 0.95), RATE)  # too loud for one variant
    (files / "c1.wav").write_bytes(b"")
    clips(tmp_path / "more", 3, 0.1)
    (tmp_path / "more" / "c2.wav").rename(files / "c2.wav")
    compared(TWO, [files], out)
    assert resumed(TWO, files, out) == ["c0", "c1"]


# ---- names, parts, rates --------------------------------------------------------------------------------------------

ODD = ["../up", "/root", "a/b", "a:b", "a_b", "A_B", "", ".", "a_b_4", "\u00e9", "x" * 300, 'w="o"', "a_b_5", os.fsdecode(b"\xff"),
       "a_b_16", "a?b"]  # fmt: skip


def test_any_name_has_a_folder_of_its_own_that_stays_inside(tmp_path: Path) -> None:
    graph = toy(ToyScale())
    work = CompareJob(tuple(Choice(name, graph) for name in ODD), tmp_path, ("lsd",))
    folders = [work.audio_file(Item("c", Path("c.wav")), name).parent for name in work.names]
    assert len({folder.name.lower() for folder in folders}) == len(ODD) + 1
    for folder in folders:
        assert folder.parent == tmp_path / "audio"
        assert folder.name.isascii() and folder.name[0] not in ".-" and len(folder.name) < 128
        folder.mkdir(parents=True)
    assert folders[0].name == REFERENCE


def test_parts_of_recordings_and_their_channels_are_compared(tmp_path: Path) -> None:
    both = np.stack([speech(RATE), -0.5 * speech(RATE)], axis=1)
    soundfile.write(tmp_path / "two.wav", both, RATE, "FLOAT")
    lines = [
        {"id": "a/early", "path": "two.wav", "start": 0.25, "duration": 0.5, "channel": 0},
        {"id": "a/mixed", "path": "two.wav", "duration": 0.5},
    ]
    (tmp_path / "list.jsonl").write_text("\n".join(map(json.dumps, lines)))
    rows: list[Compared] = []
    results = compared(TWO, [tmp_path / "list.jsonl"], tmp_path / "out", done=rows.append)
    assert [(one.id, one.seconds) for one in results.recordings] == [("a/early", 0.5), ("a/mixed", 0.5)]
    assert not any(score.error for score in results.scores)
    heard = [
        soundfile.read(tmp_path / "out" / "audio" / "reference" / "a" / f"{name}.flac")[0]
        for name in ("early", "mixed")
    ]
    np.testing.assert_allclose(heard[0], both[4000:12000, 0], atol=2**-23)  # a step of 24 bits
    np.testing.assert_allclose(heard[1], both[:8000].mean(axis=1), atol=2**-23)
    assert [row.notes for row in rows] == [("took channel 0 of 2",), ("mixed 2 channels to 1",)]


def test_the_reference_is_what_the_variant_of_the_highest_rate_hears(tmp_path: Path) -> None:
    """A variant with a lower rate is compared with the reference at the highest rate, so it has worse scores."""
    found = [Choice(str(rate), toy(ToyScale(factor=1.0), Audio(rate))) for rate in (8000, 24000, 16000)]
    soundfile.write(tmp_path / "a.wav", 0.1 * np.random.default_rng(0).standard_normal(24000), 24000, "FLOAT")
    rows: list[Compared] = []
    results = compared(found, [tmp_path / "a.wav"], tmp_path / "out", done=rows.append)
    assert soundfile.info(tmp_path / "out" / "audio" / REFERENCE / "a.flac").samplerate == 24000
    lsd = {score.variant: score.values["lsd"] or 0.0 for score in results.scores}
    assert lsd["24000"] == 0
    assert lsd["8000"] > lsd["16000"] > 5  # dB: two thirds, and one third, of the bins are empty
    assert rows[0].notes == ("resampled from 24000 Hz to 8000 Hz", "resampled from 24000 Hz to 16000 Hz")
    assert results.stages == {"asked": 6, "computed": 6}


def test_clipping_is_said_of_the_variant(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", np.full(800, 0.5), RATE, "FLOAT")
    rows: list[Compared] = []
    found = [*TWO, Choice("10 times", toy(ToyScale(factor=10.0)))]
    compared(found, [tmp_path / "a.wav"], tmp_path / "out", done=rows.append)
    assert rows[0].notes == ("800 samples of '10 times' beyond full scale were clipped",)


# ---- who does it ----------------------------------------------------------------------------------------------------


def results_of(folder: Path, executor: Executor | None, found: Sequence[Choice]) -> dict[str, bytes]:
    out = folder / ("serial" if executor is None else type(executor).__name__)
    options = {} if executor is None else {"executor": executor}
    compared(found, [folder / "in"], out, "lsd", "si_sdr", **options)
    return {name: (out / name).read_bytes() for name in names(out) if name != "ledger.jsonl"}  # it has the order


@pytest.mark.process
def test_processes_and_a_second_run_give_the_same_files(tmp_path: Path) -> None:
    """All files but the ledger are equal byte for byte: the audio, which contains noise, the scores and the page.

    The same is written by one process, by one process over its earlier files, and by two processes. One recording
    fails.
    """
    clips(tmp_path / "in", 3, 0.2)
    (tmp_path / "in" / "c1.wav").write_bytes(b"")
    found = EXCITATIONS
    files = results_of(tmp_path, None, found)
    assert len(files) == 2 * 5 + 3
    assert results_of(tmp_path, None, found) == files
    assert results_of(tmp_path, Processes(2), found) == files


@pytest.mark.slow
def test_actors_of_a_cluster_give_the_same_files(tmp_path: Path) -> None:
    clips(tmp_path / "in", 3, 0.2)
    found = EXCITATIONS
    assert results_of(tmp_path, Ray(2), found) == results_of(tmp_path, None, found)


def test_a_recording_that_ends_its_worker_is_an_error_in_every_variant(tmp_path: Path) -> None:
    class Lost:
        """An executor for two recordings, which loses the second one as if its worker had been killed."""

        def run(self, work: Any, items: Sequence[Item]) -> Any:
            yield from work.run(items[:1])
            yield work.failed_result(items[1], "its worker was killed")

    clips(tmp_path / "in", 2, 0.1)
    compared(TWO, [tmp_path / "in"], tmp_path / "out")
    results = compared(TWO, [tmp_path / "in"], tmp_path / "out", executor=Lost())
    why = f"{tmp_path}/in/c1.wav: its worker was killed"
    assert [score for score in results.scores if score.error] == [Score("c1", one.name, {}, why) for one in TWO]
    assert "reference/c1.flac" not in names(tmp_path / "out" / "audio")


def test_a_system_without_locks_is_a_wrong_request(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clips(tmp_path / "in", 1, 0.1)
    monkeypatch.setitem(sys.modules, "fcntl", None)
    with pytest.raises(RequestError, match="dspgraph renders and compares on Linux and macOS; this system is"):
        compared(TWO, [tmp_path / "in"], tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_two_comparisons_at_a_time_take_two_folders(tmp_path: Path) -> None:
    """A comparison into a folder to which another one writes is refused: it would remove files of the other.

    Once the other has ended, it runs.
    """
    clips(tmp_path / "in", 1, 0.2)
    (tmp_path / "out").mkdir()
    with Ledger(tmp_path / "out"), pytest.raises(RequestError, match="another run is writing"):
        compared(EXCITATIONS, [tmp_path / "in"], tmp_path / "out", "lsd")
    compared(EXCITATIONS, [tmp_path / "in"], tmp_path / "out", "lsd")
    assert '"status": "done"' in (tmp_path / "out" / "ledger.jsonl").read_text()

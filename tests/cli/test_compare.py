"""The output of the commands demo, compare, score, and render --profile."""

import json
import math
import re
from pathlib import Path

import numpy as np
import pytest
import soundfile

from dspgraph.evaluation import metrics
from dspgraph.evaluation.results import Metric
from helpers.commands import TOYS, dspgraph
from helpers.networks import weights_file
from helpers.speech import speech
from helpers.surroundings import on_a_terminal
from helpers.vowels import vowel

RATE = 16000

PIPELINE = """about: Toys.
inputs: {x: {audio: 16000}}
nodes: {first: {node: toy_scale, x: x, factor: 1}, end: {node: toy_scale, x: first, factor: 0.5}}
outputs: {y: end}
variants: {end: {late: {node: toy_late, x: first}, noise: {node: toy_noise, like: first}}}
"""


@pytest.fixture
def pipeline(tmp_path: Path) -> Path:
    path = tmp_path / "toys.yaml"
    path.write_text(PIPELINE)
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder with two audio files, each with half a second of real speech."""
    path = tmp_path / "in"
    path.mkdir()
    for k in range(2):
        soundfile.write(path / f"c{k}.wav", speech()[8000 * k + 8000 :][:8000], RATE)
    return path


# ---- compare --------------------------------------------------------------------------------------------------------


def test_compare_prints_the_means_and_where_to_listen(tmp_path: Path, pipeline: Path, folder: Path) -> None:
    out = tmp_path / "out"
    result = dspgraph(
        "compare", pipeline, folder, "-o", out, "--plugin", TOYS, "--metrics", "si_sdr, loudness_difference"
    )
    assert result.exit_code == 0, result.output
    said, *lines = result.stdout.splitlines()
    assert re.fullmatch(r"c0: \d+ samples of 'noise' beyond full scale were clipped", said)
    lines = lines[1:]
    assert lines[0] == "means of 2 recordings, * the best:"
    assert [line.split() for line in lines[1:4]] == [["loudness_"], ["si_sdr", "difference"], ["(dB)", "(LU)"]]
    assert [line.split() for line in lines[4:6]] == [["toy_scale", "100*", "-6.0"], ["late", "100*", "0.0*"]]
    assert lines[6].split()[0] == "noise"
    assert lines[7:] == [
        f"  to listen to  {out}/report.html",
        f"  in numbers    {out}/results.csv, and results.json with 95 % confidence intervals",
    ]
    assert re.fullmatch(r"2 rendered in .* s, [\d.]+ times real time\n", result.stderr)
    assert sorted(path.name for path in out.iterdir()) == [
        "audio",
        "ledger.jsonl",
        "report.html",
        "results.csv",
        "results.json",
    ]
    data = json.loads((out / "results.json").read_text())
    assert (data["pipeline"], data["about"], data["stages"]) == ("toys", "Toys.", {"asked": 6, "computed": 4})


def test_quiet_commands_print_failures_only(tmp_path: Path, pipeline: Path, folder: Path) -> None:
    words = (pipeline, folder, "--plugin", TOYS, "-q")
    compared = dspgraph("compare", *words, "-o", tmp_path / "out", "--metrics", "si_sdr")
    assert (compared.exit_code, compared.output) == (0, "")
    assert (tmp_path / "out" / "report.html").is_file()
    (folder / "c1.wav").write_text("no audio")
    rendered = dspgraph("render", *words, "-o", tmp_path / "rendered")
    assert rendered.exit_code == 1
    assert [line.partition(":")[0] for line in rendered.output.splitlines()] == ["failed", "dspgraph"]


@pytest.mark.parametrize("jobs", ["1", "2"])
def test_compare_and_score_take_metrics_of_an_own_file(tmp_path: Path, pipeline: Path, folder: Path, jobs: str) -> None:
    own = tmp_path / "own.py"
    own.write_text(
        "from dspgraph.evaluation.metrics import metric\n\n@metric('', 'lower', {})\ndef peak(pair):\n"
        "    'The peak.'\n    return abs(pair.degraded).max() / abs(pair.reference).max()\n"
    )
    out = tmp_path / "out"
    words = ("--plugin", TOYS, "--metric", own, "--metrics", "peak,si_sdr", "-j", jobs)
    result = dspgraph("compare", pipeline, folder, "-o", out, "--swap", "end=toy_scale", *words)
    assert result.exit_code == 0, result.output
    data = json.loads((out / "results.json").read_text())
    assert [one["name"] for one in data["metrics"]] == ["peak", "si_sdr"]
    assert [score["values"]["peak"] for score in data["scores"]] == pytest.approx([0.5, 0.5], abs=1e-4)
    sound = out / "audio" / "reference" / "c0.flac"
    scored = dspgraph("score", sound, sound, "--metric", own, "--json")
    assert [one["value"] for one in json.loads(scored.stdout)["metrics"] if one["name"] == "peak"] == [1.0]


def test_compare_reports_failures_and_conversions(tmp_path: Path, pipeline: Path, folder: Path) -> None:
    soundfile.write(folder / "c1.wav", np.zeros((4800, 2)) + 0.1, 48000)
    missing = folder / "missing.wav"
    result = dspgraph("compare", pipeline, folder, missing, "-o", tmp_path / "out", "--plugin", TOYS,
                      "--metrics", "lsd", "-s", "first.factor=1,10")  # fmt: skip
    assert result.exit_code == 1
    assert "c1: resampled from 48000 Hz to 16000 Hz; mixed 2 channels to 1\n" in result.stdout
    assert re.search(r"c0: \d+ samples of 'first.factor=10' beyond full scale were clipped\n", result.stdout)
    assert "means of 2 of 3 recordings" in result.stdout
    assert f"failed: {missing} does not exist\n" in result.stderr
    assert result.stderr.endswith("dspgraph: 1 of 3 recordings failed for at least one variant\n")
    assert "Traceback" not in result.output


def test_another_comparison_does_not_replace_results_unless_it_is_told_to(
    tmp_path: Path, pipeline: Path, folder: Path
) -> None:
    out = tmp_path / "out"
    common = ("compare", pipeline, folder, "-o", out, "--plugin", TOYS, "--vary", "end")
    request = (*common, "--metrics", "si_sdr,lsd")
    assert dspgraph(*request).exit_code == 0
    (tmp_path / "other").mkdir()
    for k in range(2):
        soundfile.write(tmp_path / "other" / f"c{k}.wav", speech()[:8000], RATE)
    other = (*request[:2], tmp_path / "other", *request[3:])
    lost = {
        "the variant 'toy_scale' and 2 more": (*request, "-s", "first.factor=0.5"),
        "the metric 'lsd'": (*common, "--metrics", "si_sdr"),
        "the recording 'c1'": (*request[:2], folder / "c0.wav", *request[3:]),
        f"the recording 'c0' of {folder}/c0.wav and 1 more": other,
    }
    before = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    for what, another in lost.items():
        refused = dspgraph(*another)
        assert refused.exit_code == 2, refused.output
        assert refused.output == (
            f"dspgraph: {out} holds the results of another run, which this comparison would replace: {what}: choose "
            "another folder, or give --overwrite to replace them\n"
        )
        assert {path: path.read_bytes() for path in out.rglob("*") if path.is_file()} == before
    assert dspgraph(*common, "--metrics", "si_sdr,lsd,loudness_difference").exit_code == 0  # nothing is lost
    assert dspgraph(*other, "--overwrite").exit_code == 0
    (out / "results.json").write_text("[]")
    refused = dspgraph(*request)
    assert f"{out}/results.json is not the result of a comparison: choose another folder" in refused.output
    (out / "results.json").unlink()
    assert f"{out}/results.csv is not the result of a comparison: choose" in dspgraph(*request).output


def test_a_rendering_and_a_comparison_do_not_replace_each_other(tmp_path: Path, pipeline: Path, folder: Path) -> None:
    compared = ("compare", pipeline, folder, "--plugin", TOYS, "--metrics", "lsd", "--vary", "end", "-o")
    rendered = ("render", pipeline, folder, "--plugin", TOYS, "-o")
    assert dspgraph(*compared, tmp_path / "a").exit_code == dspgraph(*rendered, tmp_path / "b").exit_code == 0
    refused = dspgraph(*rendered, tmp_path / "a")
    assert (refused.exit_code, "'c0', and 1 more: it was compared, by `dspgraph compare" in refused.output) == (2, True)
    refused = dspgraph(*compared, tmp_path / "b")
    assert (refused.exit_code, "'c0', which was rendered and not compared and 1 more" in refused.output) == (2, True)


def test_resume_compares_only_what_is_left(tmp_path: Path, pipeline: Path, folder: Path) -> None:
    out = tmp_path / "out"
    arguments = ("compare", pipeline, folder, "-o", out, "--plugin", TOYS, "--metrics", "lsd")
    assert dspgraph(*arguments).exit_code == 0
    whole = (out / "results.json").read_bytes()
    lines = (out / "ledger.jsonl").read_text().splitlines(keepends=True)
    (out / "ledger.jsonl").write_text(lines[0])
    result = dspgraph(*arguments, "--resume")
    assert result.exit_code == 0, result.output
    assert re.search(r"^1 rendered in .*, 1 were done before$", result.stderr, re.MULTILINE)
    assert (out / "results.json").read_bytes() == whole


def test_the_command_line_is_in_results_and_page_without_the_way_it_was_run(
    tmp_path: Path, pipeline: Path, folder: Path
) -> None:
    out = tmp_path / "out"
    result = dspgraph("compare", pipeline, folder, "-o", out, "--plugin", TOYS, "--metrics", "lsd", "--assets")
    assert result.exit_code == 0, result.output
    settings = f"dspgraph compare {pipeline} {folder} --plugin {TOYS}"
    assert json.loads((out / "results.json").read_text())["command"] == f"{settings} --metrics lsd"
    assert f"<p>Command: <code><bdi>{settings} --metrics lsd</bdi></code></p>" in (out / "report.html").read_text()
    lines = [json.loads(line) for line in (out / "ledger.jsonl").read_text().splitlines()]
    assert {line["command"] for line in lines} == {f"{settings} -o {out} --metrics lsd --assets"}


def test_a_comparison_of_one_recording_has_no_intervals(tmp_path: Path, pipeline: Path, folder: Path) -> None:
    out = tmp_path / "out"
    result = dspgraph("compare", pipeline, folder / "c0.wav", "-o", out, "--plugin", TOYS, "--metrics", "lsd")
    assert result.stdout.endswith(f"  in numbers    {out}/results.csv, and results.json\n")
    means = json.loads((out / "results.json").read_text())["means"]
    assert [(mean["low"], mean["high"], mean["n"]) for mean in means] == [(None, None, 1)] * 3
    assert (out / "report.html").read_text().count('<span class="interval">-</span>') == 3


REFUSED = {
    "a metric there is not": (["--metrics", "lsd,mdc"], "there is no metric 'mdc'; did you mean 'mcd'?"),
    "no metric": (["--metrics", ""], "there is no metric ''"),
    "a slot there is not": (["--vary", "first"], "has no slot 'first' to vary"),
    "a slot that is fixed": (["--vary", "end", "--swap", "end=late"], "cannot have the variant 'late' in all graphs and vary too"),
    "an empty value": (["-s", "first.factor=1,"], "'first.factor='"),
    "a value out of bounds": (["-s", "first.factor=1,11"], "first.factor=11"),
    "features": (["{d}/rows.npz"], "only audio can be compared; found"),
    "two of one name": (["{d}/other/c0.wav"], "would both be written to"),
    "an output that is a file": (["-o", "{d}/toys.yaml"], "toys.yaml cannot be written to"),
    "a serial executor with two jobs": (["--executor", "serial", "-j", "2"], "--executor serial has one worker; found --jobs 2"),
}  # fmt: skip


@pytest.mark.parametrize("what", REFUSED)
def test_a_bad_request_is_one_clear_message_and_nothing_is_written(
    tmp_path: Path, pipeline: Path, folder: Path, what: str
) -> None:
    options, message = REFUSED[what]
    options = [option.format(d=tmp_path) for option in options]
    np.savez(tmp_path / "rows.npz", x=np.zeros(4))
    out = [] if "-o" in options else ["-o", tmp_path / "out"]
    result = dspgraph("compare", pipeline, folder, *out, "--plugin", TOYS, *options)
    assert result.exit_code == 2, result.output
    assert message in result.output
    assert result.output.count("\n") == 1
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
@pytest.mark.process
def test_jobs_and_assets_reach_the_comparison(tmp_path: Path, pipeline: Path, folder: Path) -> None:
    common = ("compare", pipeline, folder, "--plugin", TOYS, "--metrics", "lsd")
    assert dspgraph(*common, "-o", tmp_path / "one").exit_code == 0
    assert dspgraph(*common, "-o", tmp_path / "two", "-j", 2, "--assets").exit_code == 0
    assert (tmp_path / "two" / "results.json").read_bytes() == (tmp_path / "one" / "results.json").read_bytes()
    assert (tmp_path / "two" / "report_files").is_dir()
    assert not (tmp_path / "one" / "report_files").exists()


@pytest.mark.slow
@pytest.mark.process
def test_a_terminal_shows_a_progress_bar_and_a_table_that_fits(tmp_path: Path, pipeline: Path, folder: Path) -> None:
    """The table of twelve variants fits into 60 columns: metrics that do not fit are printed below the others."""
    request = ("compare", pipeline, folder, "-o", tmp_path / "out", "--plugin", TOYS, "--vary", "end",
               "-s", "first.factor=0.1,0.2,0.3,0.4", "--metrics", "lsd,si_sdr,loudness_difference")  # fmt: skip
    pipeline.write_text(PIPELINE.replace(", factor: 0.5}", "}").replace("late: {", "longer_name_of_it: {"))
    shown = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", on_a_terminal(60, *request))
    assert "2/2" in shown
    table = shown[shown.index("means of 2 recordings") :].splitlines()[1:-2]
    assert max(map(len, table)) <= 60
    assert " ".join(table[0:2]).split() == ["lsd", "si_sdr", "(dB)", "(dB)"]
    assert " ".join(table[14:17]).split() == ["loudness_", "difference", "(LU)"]
    names = [[re.split(r"(?<=0\.\d)", row)[0] for row in rows] for rows in (table[2:14], table[17:29])]
    assert names[0] == names[1]
    assert len({*names[0]}) == 12
    assert len(table) == 29


def test_a_mean_of_fewer_recordings_gives_their_number(tmp_path: Path, pipeline: Path, folder: Path) -> None:
    soundfile.write(folder / "c1.wav", np.zeros(8000), RATE)
    result = dspgraph("compare", pipeline, folder, "-o", tmp_path / "out", "--plugin", TOYS, "--metrics", "lsd,si_sdr")
    line = next(line for line in result.stdout.splitlines() if "toy_scale" in line)
    assert "(1) 100*" in line  # silence has no ratio
    assert line.count("(") == 1


# ---- score ----------------------------------------------------------------------------------------------------------


def pair(folder: Path, kind: str) -> tuple[Path, Path]:
    """Write ref.wav, one second of real speech, and deg.wav, a copy of it, to a folder; return both paths, in this order.

    kind: "same" for an equal copy, "half" for one of half the amplitude, "late" for one that is 40 samples late,
    "noisy" for one with white noise 20 dB below the speech.
    """
    x = speech()[8000:24000]
    noise = np.random.default_rng(0).standard_normal(len(x))
    made = {
        "same": x,
        "half": x / 2,
        "late": np.concatenate([np.zeros(40), x[:-40]]),
        "noisy": x + noise * math.sqrt((x**2).mean() / (noise**2).mean() / 100),
    }[kind]
    for name, samples in (("ref", x), ("deg", made)):
        soundfile.write(folder / f"{name}.wav", samples, RATE, "DOUBLE")
    return folder / "ref.wav", folder / "deg.wav"


SCORES = {
    "same": {"mcd": "0 dB", "lsd": "0 dB", "si_sdr": "100 dB", "loudness_difference": "0 LU", "voicing_error": "0 %"},
    "half": {"loudness_difference": "-6.021 LU", "si_sdr": "100 dB"},
    "late": {},
    "noisy": {"si_sdr": "20"},
}


@pytest.mark.parametrize("kind", SCORES)
def test_score_prints_the_results_of_measure(tmp_path: Path, kind: str) -> None:
    files = pair(tmp_path, kind)
    result = dspgraph("score", *files)
    assert result.exit_code == 0, result.output
    x, y = (soundfile.read(path)[0] for path in files)
    expected = metrics.measure(x, y, RATE)
    head, *lines = result.stdout.splitlines()
    assert head == f"{files[1]} compared with {files[0]}"
    found = {line.split()[0]: line for line in lines}
    assert list(found) == list(expected)
    for name, value in expected.items():
        metric = metrics.METRICS[name].metric
        said = "-" if value is None else f"{value:.4g} {metric.unit}".strip()
        assert re.fullmatch(rf"  {name} +{re.escape(said)} +{re.escape(metric.about)}", found[name])
    for name, said in SCORES[kind].items():
        assert found[name].split(maxsplit=1)[1].startswith(said)


def test_score_for_machines_holds_settings_and_versions(tmp_path: Path) -> None:
    x = speech()[8000:16000]
    soundfile.write(tmp_path / "ref.wav", x, RATE)
    soundfile.write(tmp_path / "deg.wav", np.stack([x, x], axis=1)[:6000], RATE)
    said = json.loads(dspgraph("score", tmp_path / "ref.wav", tmp_path / "deg.wav", "--json").stdout)
    assert [row["name"] for row in said["metrics"]] == list(metrics.METRICS)
    for row in said["metrics"]:
        row.pop("value")
        assert row.pop("reason") == ""
        assert Metric(**row) == metrics.METRICS[row["name"]].metric
        assert row["version"] and row["settings"]
    assert said["notes"] == [
        f"{tmp_path}/deg.wav: mixed 2 channels to 1",
        f"{tmp_path}/ref.wav: cut from 0.500 s to 0.375 s, the length of the other",
    ]


def test_score_of_a_missing_file_is_one_clear_message(tmp_path: Path) -> None:
    ref, _ = pair(tmp_path, "same")
    for files in ((ref, tmp_path / "nothing.wav"), (tmp_path / "nothing.wav", ref)):
        result = dspgraph("score", *files)
        assert (result.exit_code, result.output) == (2, f"dspgraph: {tmp_path}/nothing.wav does not exist\n")


# ---- the profile of render ------------------------------------------------------------------------------------------


@pytest.mark.process
@pytest.mark.parametrize("options", [[], ["--batch", "16"], ["-j", "2"], ["--timeout", "60"]], ids=" ".join)
def test_a_profile_says_what_each_node_costs_and_changes_no_sample(
    tmp_path: Path, pipeline: Path, folder: Path, options: list[str]
) -> None:
    """The first node is called once for each quantum of both files, and once more for each file, in `flush`.

    options: how the files are computed, for instance together in a batch, or in two processes.
    """
    common = ("render", pipeline, folder, "--plugin", TOYS, "--swap", "end=noise")
    assert dspgraph(*common, "-o", tmp_path / "plain").exit_code == 0
    result = dspgraph(*common, "-o", tmp_path / "watched", "--profile", *options)
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    table = {line.split()[0]: line.split() for line in lines[lines.index("profile") + 1 : -1]}
    assert {"first", "end"} <= table.keys()
    assert "live" in lines[-1]
    quanta = [math.ceil(soundfile.info(folder / name).duration * 100) for name in ("c0.wav", "c1.wav")]
    assert int(table["first"][2]) == sum(quanta) + 2
    for name in ("c0.flac", "c1.flac", "c0.json", "c1.json"):
        assert (tmp_path / "watched" / name).read_bytes() == (tmp_path / "plain" / name).read_bytes()


# ---- demo -----------------------------------------------------------------------------------------------------------


@pytest.mark.thorough
def test_the_demo_ends_with_a_page_and_a_trained_model_is_in_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first run is given weights of LPCNet; the second is not, and replaces the first with --overwrite.

    LPCNet is among the variants of the first run only. `residual` is the first variant in the printed table. The
    example is half a second of speech, and no spectrogram is drawn: only its list of files is checked.
    """
    clip = tmp_path / "clip.wav"
    soundfile.write(clip, speech()[8000:16000], RATE)
    monkeypatch.setattr("dspgraph.io.audio.example_speech", lambda: clip)
    drawn: list[list[str]] = []

    def draw(files: dict[str, Path], path: Path) -> Path:
        drawn.append(list(files))
        return path

    monkeypatch.setattr("dspgraph.plotting.spectrogram.spectrograms", draw)
    variants = ["pulse_noise", "whisper", "residual", "mulaw_residual"]
    out = tmp_path / "demo"
    shipped = [*variants, "fargan"]
    for given, expected in ((["--weights", weights_file()], [*shipped, "lpcnet"]), (["--overwrite"], shipped)):
        result = dspgraph("demo", "--out", out, *given)
        assert result.exit_code == 0, result.output
        lines = result.stdout.splitlines()
        pipelines = "lpc_vocoder, fargan" + (", lpcnet" if "--weights" in given else "")
        assert lines[0] == f"{pipelines} on clip.wav:"
        assert lines[-2:] == [f"  spectrograms  {out}/spectrograms.png", f"  to listen to  {out}/report.html"]
        assert next(line.split()[0] for line in lines[2:-2] if line.split()[0] in expected) == "residual"
        assert drawn[-1] == ["reference", *expected]
        said = json.loads((out / "results.json").read_text())
        assert [one["name"] for one in said["variants"]] == expected
        assert {path.parent.name for path in out.glob("audio/*/clip.flac")} >= {"reference", *expected}


# ---- the range of pitch ---------------------------------------------------------------------------------------------


def test_score_says_why_a_metric_has_no_value_and_takes_another_range(tmp_path: Path) -> None:
    for name, f0 in (("ref", 225.0), ("deg", 450.0)):
        soundfile.write(tmp_path / f"{name}.wav", vowel(f0), RATE, "FLOAT")
    files = (tmp_path / "ref.wav", tmp_path / "deg.wav")
    wide = json.loads(dspgraph("score", *files, "--json").stdout)["metrics"]
    narrow = dspgraph("score", *files, "--f0-range", "60,400")
    assert {one["name"]: one["value"] for one in wide}["log_f0_rmse"] == pytest.approx(1200, abs=15)
    assert "log_f0_rmse has no value: the range of the pitch, 60 to 400 Hz, cannot hold the voice" in narrow.stderr
    assert re.search(r"^  log_f0_rmse +- +RMS", narrow.stdout, re.M)
    (row,) = (
        one
        for one in json.loads(dspgraph("score", *files, "--json", "--f0-range", "60,400").stdout)["metrics"]
        if one["name"] == "voicing_error"
    )
    assert (row["value"], row["settings"]["f0_range_hz"]) == (None, [60, 400])
    assert "give another range (--f0-range" in row["reason"]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("6_0,400", "--f0-range '6_0,400': write LOW,HIGH in Hz, for instance 40,1000"),
        ("60", "--f0-range '60': write LOW,HIGH in Hz, for instance 40,1000"),
        ("60,a", "write LOW,HIGH"),
        ("5,400", "the range of the pitch is 5 to 400 Hz; it must lie between 30 and 1200 Hz"),
    ],
)
def test_a_range_of_pitch_that_cannot_be_used_is_refused(
    tmp_path: Path, pipeline: Path, folder: Path, given: str, message: str
) -> None:
    common = ("--plugin", TOYS, "--f0-range", given)
    result = dspgraph("compare", pipeline, folder, "-o", tmp_path / "out", *common)
    assert (result.exit_code, message in result.output) == (2, True)
    assert not (tmp_path / "out").exists()
    result = dspgraph("score", folder / "c0.wav", folder / "c1.wav", "--f0-range", given)
    assert (result.exit_code, message in result.output) == (2, True)


def test_compare_says_how_many_scores_have_no_pitch_and_stores_the_reason(tmp_path: Path, pipeline: Path) -> None:
    soundfile.write(tmp_path / "high.wav", vowel(450.0), RATE, "FLOAT")
    out = tmp_path / "out"
    result = dspgraph("compare", pipeline, tmp_path / "high.wav", "-o", out, "--plugin", TOYS,
                      "--metrics", "lsd,log_f0_rmse", "--f0-range", "60,400")  # fmt: skip
    assert result.exit_code == 0, result.output
    assert "log_f0_rmse has no value in 3 of 3 scores, for instance high, toy_scale: the range" in result.stderr
    data = json.loads((out / "results.json").read_text())
    assert all("cannot hold the voice" in one["reasons"]["log_f0_rmse"] for one in data["scores"])
    assert data["metrics"][1]["settings"]["f0_range_hz"] == [60, 400]

"""The command `render`: its output and the files that it writes."""

import json
import shlex
from pathlib import Path

import numpy as np
import pytest
import soundfile

from dspgraph.cli.render import AUDIO_FORMATS
from dspgraph.io.formats import FORMAT_NAMES
from dspgraph.rendering.ledger import Ledger
from helpers.commands import TOYS, dspgraph, leftovers
from helpers.speech import speech
from helpers.surroundings import on_a_terminal


def test_the_formats_of_render_are_those_that_are_written() -> None:
    assert set(AUDIO_FORMATS) == set(FORMAT_NAMES)  # a list of its own: the command line does not import numpy


@pytest.mark.parametrize("name", ["wav:PCM_16", "flac:pcm_16"])
def test_render_writes_the_kind_of_samples_that_is_asked_for(tmp_path: Path, wav: Path, scale: Path, name: str) -> None:
    result = dspgraph("render", scale, wav, "-o", tmp_path / "out", "--plugin", TOYS, "--format", name)
    assert result.exit_code == 0, result.output
    assert soundfile.info(tmp_path / "out" / f"voice.{name.partition(':')[0]}").subtype == "PCM_16"


def test_render_writes_the_output_of_the_graph(tmp_path: Path, wav: Path, scale: Path) -> None:
    result = dspgraph("render", scale, wav, "-o", tmp_path / "out", "--plugin", TOYS)
    assert result.exit_code == 0, result.output
    assert leftovers(tmp_path / "out") == ["voice.flac"]
    samples, rate = soundfile.read(tmp_path / "out" / "voice.flac")
    assert rate == 16000
    np.testing.assert_allclose(samples, speech()[8000:16000] / 2, atol=2**-23)  # a step of 24 bits


def test_render_takes_overrides_swaps_and_formats(tmp_path: Path, wav: Path, scale: Path) -> None:
    out = tmp_path / "out"
    common = ["-o", out, "--plugin", TOYS, "--format", "wav"]
    assert dspgraph("render", scale, wav, *common, "-s", "end.factor=-1").exit_code == 0
    np.testing.assert_allclose(soundfile.read(out / "voice.wav")[0], -speech()[8000:16000], atol=1e-7)  # float32
    assert dspgraph("render", scale, wav, *common, "--swap", "end=late", "--overwrite").exit_code == 0
    np.testing.assert_allclose(soundfile.read(out / "voice.wav")[0], speech()[8000:16000], atol=1e-7)


def test_a_tap_is_written_beside_the_outputs(tmp_path: Path, wav: Path, scale: Path) -> None:
    result = dspgraph("render", scale, wav, "-o", tmp_path / "out", "--plugin", TOYS, "--tap", "end", "--tap", "end.y")
    assert result.exit_code == 0, result.output
    found = {path.name: soundfile.read(path)[0] for path in (tmp_path / "out").glob("*.flac")}
    assert sorted(found) == ["voice.end.flac", "voice.end.y.flac", "voice.y.flac"]
    np.testing.assert_array_equal(found["voice.end.flac"], found["voice.y.flac"])
    result = dspgraph("render", scale, wav, "-o", tmp_path / "out", "--plugin", TOYS, "--tap", "edn")
    assert "the tap 'edn' takes from 'edn', but nothing is called 'edn'; did you mean 'end'" in result.stderr


def test_a_stream_inside_an_inner_pipeline_is_tapped(tmp_path: Path, wav: Path, scale: Path) -> None:
    outer = tmp_path / "outer.yaml"
    outer.write_text(
        f"inputs: {{speech: {{audio: 16000}}}}\nnodes: {{voice: {{pipeline: {scale}, x: speech}}}}\noutputs: {{y: voice}}"
    )
    arguments = ("render", outer, wav, "-o", tmp_path / "out", "--plugin", TOYS, "--tap", "voice/end", "-q")
    result = dspgraph(*arguments)
    assert result.exit_code == 0, result.output
    found = {path.name: soundfile.read(path)[0] for path in (tmp_path / "out").glob("*.flac")}
    assert sorted(found) == ["voice.voice.end.flac", "voice.y.flac"]
    np.testing.assert_array_equal(found["voice.voice.end.flac"], found["voice.y.flac"])


def test_a_file_of_another_rate_and_channel_count_is_converted_and_reported(tmp_path: Path, scale: Path) -> None:
    path = tmp_path / "stereo.wav"
    time = np.arange(22050) / 44100
    tone = 0.5 * np.sin(2 * np.pi * 440 * time)
    soundfile.write(path, np.stack([tone, tone / 2], axis=1), 44100, "FLOAT")
    result = dspgraph("render", scale, path, "-o", tmp_path / "out", "--plugin", TOYS)
    assert "resampled from 44100 Hz to 16000 Hz; mixed 2 channels to 1" in result.output
    samples, rate = soundfile.read(tmp_path / "out" / "stereo.flac")
    assert (rate, len(samples)) == (16000, 8000)
    expected = 0.5 * 0.75 * 0.5 * np.sin(2 * np.pi * 440 * np.arange(8000) / 16000)
    np.testing.assert_allclose(samples[400:-400], expected[400:-400], atol=1e-5)  # soxr HQ: better than -100 dB


def test_clipping_is_reported(tmp_path: Path, wav: Path, scale: Path) -> None:
    result = dspgraph("render", scale, wav, "-o", tmp_path / "out", "--plugin", TOYS, "-s", "end.factor=10")
    beyond = int(np.count_nonzero(np.abs(speech()[8000:16000] * 10) > 1))
    assert beyond > 0
    assert f"{beyond} samples of 'y' beyond full scale were clipped" in result.output


def test_several_outputs_are_several_files(tmp_path: Path, wav: Path) -> None:
    path = tmp_path / "two.yaml"
    path.write_text("inputs: {x: {audio: 16000}}\nnodes: {end: {node: toy_scale, x: x}}\noutputs: {dry: x, wet: end}\n")
    assert dspgraph("render", path, wav, "-o", tmp_path / "out", "--plugin", TOYS).exit_code == 0
    assert leftovers(tmp_path / "out") == ["voice.dry.flac", "voice.wet.flac"]


def test_some_bad_files_cost_themselves_only(tmp_path: Path, wav: Path, scale: Path) -> None:
    result = dspgraph("render", scale, tmp_path / "nothing.wav", wav, "-o", tmp_path / "out", "--plugin", TOYS)
    assert result.exit_code == 1
    assert f"failed: {tmp_path}/nothing.wav does not exist" in result.output
    assert "1 of 2 files failed; the reasons are printed above" in result.output
    assert leftovers(tmp_path / "out") == ["voice.flac"]


def test_a_line_of_json_for_each_item_and_one_for_all(tmp_path: Path, wav: Path, scale: Path) -> None:
    request = (
        "render",
        scale,
        wav.parent,
        tmp_path / "nothing.wav",
        "-o",
        tmp_path / "out",
        "--plugin",
        TOYS,
        "--log-json",
    )
    for cached in False, True:
        result = dspgraph(*request, *["--resume"] * cached)
        assert result.exit_code == 1
        assert result.stderr == "dspgraph: 1 of 2 files failed; the reasons are printed above\n"
        first, second, last = map(json.loads, result.stdout.splitlines())
        assert {name: first[name] for name in first if name != "seconds"} == {
            "id": "voice", "source": str(wav), "status": "done", "cached": cached, "notes": [], "audio_seconds": 0.5,
            "targets": [str(tmp_path / "out" / "voice.flac")],
        }  # fmt: skip
        assert 0 < first["seconds"] < 60
        assert second == {
            "id": "nothing", "source": f"{tmp_path}/nothing.wav", "status": "failed", "cached": cached,
            "error": f"{tmp_path}/nothing.wav does not exist",
        }  # fmt: skip
        assert 0 < last.pop("seconds") < 60
        assert last == {
            "done": int(not cached),
            "failed": 1,
            "cached": int(cached),
            "audio_seconds": 0.5 * (not cached),
        }


def test_a_resumed_run_counts_finished_files_and_names_failed_ones(tmp_path: Path, wav: Path, scale: Path) -> None:
    request = ("render", scale, wav, tmp_path / "late.wav", "-o", tmp_path / "out", "--plugin", TOYS)
    assert dspgraph(*request).exit_code == 1
    again = dspgraph(*request, "--resume")
    assert again.exit_code == 1
    assert f"failed before: {tmp_path}/late.wav does not exist" in again.stderr
    assert "0 rendered in" in again.stderr
    assert ", 1 were done before\n" in again.stderr
    assert again.stdout == ""
    retried = dspgraph(*request, "--retry-failed")
    assert f"failed: {tmp_path}/late.wav does not exist" in retried.stderr
    soundfile.write(tmp_path / "late.wav", speech()[:1600], 16000)
    last = dspgraph(*request, "--resume")
    assert (last.exit_code, last.stdout) == (0, f"{tmp_path}/out/late.flac\n")


def test_a_manifest_names_the_files(tmp_path: Path, wav: Path, scale: Path) -> None:
    lines = [{"id": f"part/{k}", "path": "voice.wav", "start": k / 10, "duration": 0.1} for k in range(5)]
    (wav.parent / "m.jsonl").write_text("\n".join(map(json.dumps, lines)))
    result = dspgraph("render", scale, wav.parent / "m.jsonl", "-o", tmp_path / "out", "--plugin", TOYS, "--batch", 4)
    assert result.exit_code == 0, result.output
    assert leftovers(tmp_path / "out") == [f"part/{k}.flac" for k in range(5)]
    whole = [soundfile.read(tmp_path / "out" / "part" / f"{k}.flac")[0] for k in range(5)]
    np.testing.assert_allclose(np.concatenate(whole), speech()[8000:16000] / 2, atol=2**-23)  # a step of 24 bits
    assert "5 rendered in" in result.stderr


def test_ogg_is_written(tmp_path: Path, wav: Path, scale: Path) -> None:
    result = dspgraph("render", scale, wav, "-o", tmp_path / "out", "--plugin", TOYS, "--format", "ogg")
    assert result.exit_code == 0, result.output
    assert soundfile.info(tmp_path / "out" / "voice.ogg").subtype == "VORBIS"


def test_a_second_run_into_a_folder_in_use_is_refused(tmp_path: Path, wav: Path, scale: Path) -> None:
    (tmp_path / "out").mkdir()
    with Ledger(tmp_path / "out"):
        result = dspgraph("render", scale, wav, "-o", tmp_path / "out", "--plugin", TOYS)
    assert result.exit_code == 2
    assert (
        result.stderr == f"dspgraph: another run is writing to {tmp_path}/out: wait for it, or choose another folder\n"
    )
    assert leftovers(tmp_path / "out") == []


@pytest.mark.parametrize(
    "change",
    [("-s", "end.factor=0.25"), ("--swap", "end=late"), ("--format", "wav"), ("--resume", "-s", "end.factor=0.25")],
)
def test_another_setting_does_not_replace_results_unless_it_is_told_to(
    tmp_path: Path, wav: Path, scale: Path, change: tuple[str, ...]
) -> None:
    request = ("render", scale, wav, "-o", tmp_path / "out", "--plugin", TOYS)
    assert dspgraph(*request).exit_code == 0
    before = {path: path.read_bytes() for path in (tmp_path / "out").iterdir()}
    refused = dspgraph(*request, *change)
    assert refused.exit_code == 2
    assert refused.output.startswith(
        f"dspgraph: {tmp_path}/out holds results of another run, which this run would replace: 'voice': "
    )
    assert "choose another folder, or give --overwrite to replace them" in refused.output
    assert {path: path.read_bytes() for path in (tmp_path / "out").iterdir()} == before
    assert dspgraph(*request).exit_code == dspgraph(*request, *change, "--overwrite").exit_code == 0


def test_the_command_line_is_recorded(tmp_path: Path, wav: Path, scale: Path) -> None:
    out = tmp_path / "an out"
    result = dspgraph(
        "render", scale, wav, "-o", out, "--plugin", TOYS, "--set", "end.factor=0.25", "--batch", 2, "--format", "wav"
    )
    assert result.exit_code == 0, result.output
    (line,) = map(json.loads, (out / "ledger.jsonl").read_text().splitlines())
    settings = f"dspgraph render {scale}"
    more = f"-s end.factor=0.25 --plugin {TOYS}"
    assert line["command"] == f"{settings} {wav} {more} -o '{out}' --format wav --batch 2"
    assert json.loads((out / "voice.json").read_text())["command"] == f"{settings} {more} --format wav"


def test_a_command_line_of_many_files_is_recorded_with_the_first_ones(tmp_path: Path, wav: Path, scale: Path) -> None:
    files = [tmp_path / f"{k}.wav" for k in range(25)]
    dspgraph("render", scale, *files, "-o", tmp_path / "out", "--plugin", TOYS)
    lines = (tmp_path / "out" / "ledger.jsonl").read_text().splitlines()
    words = shlex.split(json.loads(lines[0])["command"])
    assert words[3:24] == [*map(str, files[:20]), "... 5 more files"]


def test_a_folder_says_what_it_left_out(tmp_path: Path, wav: Path, scale: Path) -> None:
    for name in ("a.txt", "b.mp4", ".hidden"):
        (wav.parent / name).touch()
    result = dspgraph("render", scale, wav.parent, "-o", tmp_path / "out", "--plugin", TOYS, "--log-json")
    assert result.exit_code == 0
    assert result.stderr == (
        f"note: {wav.parent}: 3 files not taken: .mp4 (1), .txt (1), hidden (1); name a file to take it\n"
    )


@pytest.mark.process
def test_a_terminal_shows_a_progress_bar_and_a_pipe_plain_lines(tmp_path: Path, wav: Path, scale: Path) -> None:
    other = wav.with_name("other.wav")
    other.write_bytes(wav.read_bytes())
    request = ("render", scale, wav, other, tmp_path / "nothing.wav", "-o", tmp_path / "out", "--plugin", TOYS)
    targets = [str(tmp_path / "out" / name) for name in ("voice.flac", "other.flac")]
    shown = on_a_terminal(60, *request)
    assert "3/3" in shown
    assert all(target in shown for target in targets)
    piped = on_a_terminal(60, *request, piped=tmp_path / "list")
    assert "3/3" in piped
    assert "nothing.wav does not exist" in piped
    assert (tmp_path / "list").read_text().splitlines() == targets
    assert "\x1b" not in dspgraph(*request).output


def test_unprintable_characters_of_a_file_name_are_escaped(tmp_path: Path, wav: Path, scale: Path) -> None:
    """A name is printed with escapes.

    Unescaped, an escape sequence would colour the terminal, and a line end would look like a second file.
    """
    odd = wav.rename(wav.with_name("a\x1b[31m\nb.wav"))
    result = dspgraph("render", scale, odd, "-o", tmp_path / "out", "--plugin", TOYS)
    assert result.exit_code == 0
    assert result.stdout.endswith("a\\x1b[31m\\nb.flac\n")
    assert "\x1b" not in result.stdout


def test_a_node_that_calls_exit_is_an_error_not_a_success(tmp_path: Path, wav: Path, scale: Path) -> None:
    (tmp_path / "ends.py").write_text(
        "import sys\nfrom dspgraph import Audio, Input, Node, Output\n\n\nclass Ends(Node):\n    x = Input(Audio)\n"
        "    y = Output(Audio)\n\n    def step(self, state, x):\n        sys.exit(0)\n"
    )
    (tmp_path / "p.yaml").write_text(
        "inputs: {x: {audio: 16000}}\nnodes: {end: {node: ends, x: x}}\noutputs: {y: end}\n"
    )
    result = dspgraph("render", tmp_path / "p.yaml", wav, "-o", tmp_path / "out", "--plugin", tmp_path / "ends.py")
    assert result.exit_code == 2
    assert "ended the program (exit code 0); finished files are kept" in result.stderr
    assert leftovers(tmp_path / "out") == []

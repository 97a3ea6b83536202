"""The commands and programs on the pages of the site run. Those of the README are run by test_readme.py.

Training, most programs of `examples`, and most commands in blocks marked `sh`, which need a device or an installation,
are not run.
"""

import json
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
from click.testing import CliRunner

from dspgraph import DspgraphError, load
from dspgraph.cli.main import main
from dspgraph.evaluation.listening import ANSWER_COLUMNS
from dspgraph.registry import shipped_pipelines
from dspgraph.testing.devices import FakeDevice
from helpers.autoencoders import autoencoder_file
from helpers.autoencoders import tiny as tiny_autoencoder
from helpers.networks import SMALL
from helpers.networks import weights_file as lpcnet_file
from helpers.paths import ROOT
from helpers.speech import speech
from helpers.wavenets import tiny as tiny_wavenet
from helpers.wavenets import wavenet_file
from helpers.wavernn import SMALL as WAVERNNS
from helpers.wavernn import wavernn_file

PAGES = {path.stem: path for path in ROOT.glob("docs/*.md")}
PAGES |= {f"card of {path.stem}": path for path in ROOT.glob("pipelines/*.md")}


def blocks(page: str, kind: str) -> list[str]:
    """Return the code blocks of a page. page: a key of PAGES; kind: the language, "" for commands."""
    found = re.findall(r"^```(\w*)\n(.*?)^```", PAGES[page].read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    return [text for language, text in found if language == kind]


def commands(page: str, kind: str = "") -> list[list[str]]:
    """Return the words of every command line of one kind on a page, the program first.

    page: a key of PAGES; kind: "sh" for the commands that need a device or an installation, "" for all others.
    """
    lines = "\n".join(blocks(page, kind)).replace("\\\n", " ").splitlines()
    return [words for line in lines if (words := shlex.split(line, comments=True))]


def run(words: list[str]) -> None:
    """Run a command, and assert that it succeeds. `dspgraph train` only lists its settings.

    Of the commands of Python, only the program that makes notes is run, and makes three; of others the file must exist.
    words: the program, dspgraph or python, and its arguments; a word with * stands for the files that fit it.
    """
    program, *rest = words
    options = [str(path) for word in rest for path in (sorted(Path().glob(word)) if "*" in word else [word])]
    if program == "python":
        assert (ROOT / rest[0]).is_file()
        if rest[0] == "examples/make_notes.py":
            fewer = [*options[1:], "--count", "3"]
            subprocess.run([sys.executable, ROOT / rest[0], *fewer], check=True, capture_output=True)
        return
    assert program == "dspgraph", words
    quick = ["--settings"] if rest[0] == "train" else []
    result = CliRunner().invoke(main, [*options, *quick])
    assert result.exit_code == 0, f"{' '.join(words)}: {result.output}"


def shipped(name: str) -> None:
    """Copy the shipped weights of the pipeline `name` to run/weights.safetensors, like those of a training run."""
    Path("run").mkdir()
    shutil.copy(shipped_pipelines()[name].with_suffix(".safetensors"), "run/weights.safetensors")


def listening() -> None:
    soundfile.write("speech.wav", speech()[8000:20000], 16000)
    (code,) = blocks("listening", "python")
    Path("own_metric.py").write_text(code)
    Path("answers").mkdir()
    rows = [f"page,1,now,mushra,ann,matched,{k},a,{sound},,,,{50 + k}" for k in range(2) for sound in ("x", "y")]
    Path("answers/ann.csv").write_text("\n".join([",".join(ANSWER_COLUMNS), *rows]))


def pipeline_files() -> None:
    soundfile.write("speech.wav", speech()[8000:20000], 16000)
    shutil.copy(ROOT / "examples" / "own_node.py", "own_node.py")
    Path("own_metric.py").write_text(*blocks("listening", "python"))
    Path("tremolo.yaml").write_text(
        "inputs: {speech: {audio: 16000}}\nnodes: {end: {node: tremolo, x: speech}}\noutputs: {speech: end}\n"
    )
    assert load("tremolo.yaml", plugins=["own_node.py"]).nodes
    with pytest.raises(DspgraphError, match="no node is called 'tremolo'.*a node of your own: --plugin FILE"):
        load("tremolo.yaml")


def tutorial() -> None:
    soundfile.write("speech.wav", speech()[8000:24000], 16000)
    Path("corpus").mkdir()
    for k in range(2):
        soundfile.write(f"corpus/{k}.wav", speech()[8000 * k : 8000 * k + 6000], 16000)
    Path("mine.yaml").write_text(*blocks("tutorial", "yaml"))


def results() -> None:
    """Render `speech/a.wav`, and assert that its sidecar has the keys of the sidecar shown on the page `results`."""
    (shown,) = map(json.loads, blocks("results", "json"))
    run(["dspgraph", "render", "mulaw_bits", "speech/a.wav", "-o", "out"])
    written = json.loads(Path("out/a.json").read_text())
    assert list(shown) == list(written)
    assert shown["reader"].keys() == written["reader"].keys()
    assert shown["outputs"]["speech"].keys() <= written["outputs"]["speech"].keys()
    assert shown["graph"].keys() <= written["graph"].keys()
    assert load("mulaw_bits").digest == written["digest"]


def fargan() -> None:
    shipped("fargan")


def lpcnet() -> None:
    Path("run").mkdir()
    shutil.copy(lpcnet_file(SMALL.replace(rate=16000)), "run/weights.safetensors")


def gansynth() -> None:
    shipped("gansynth_notes")
    np.savez("notes.npz", latent=np.zeros((2, 4)), pitch=np.array([0, 7]))


def wavenet_autoencoder() -> None:
    Path("run").mkdir()
    network = tiny_autoencoder(rate=4000, lowest=60, pitches=8)
    shutil.copy(autoencoder_file(network), "run/weights.safetensors")


def clip_and_weights(weights: str, *runs: str) -> None:
    """Write speech to the new folder `clip`, and copy the file `weights` to a new folder for each of `runs`.

    The speech is half a second long, because the commands of the pages then run quickly.
    """
    Path("clip").mkdir()
    soundfile.write("clip/clip.wav", speech()[16000:24000], 16000)
    for run in runs:
        Path(run).mkdir()
        shutil.copy(weights, f"{run}/weights.safetensors")


def wavenet() -> None:
    clip_and_weights(wavenet_file(tiny_wavenet(bands=80, scales=(16, 16), rate=16000)), "run", "clip_run")


def wavernn() -> None:
    network = WAVERNNS["categorical"].replace(features=80, factors=(4, 8, 8), widths=(9, 17, 17), rate=16000)
    clip_and_weights(wavernn_file(network), "run", "second")


def phones() -> None:
    network = tiny_wavenet(bands=80, scales=(16, 16), rate=16000, gain=0.55, preemphasis=0.85)
    shutil.copy(wavenet_file(network), "wavenet.safetensors")
    Path("alignments").mkdir()
    Path("alignments/a.lab").write_text("0 1250000 sil\n1250000 3000000 aa\n3000000 5000000 s\n")


PREPARED: list[Callable[[], None]] = [
    tutorial,
    results,
    pipeline_files,
    listening,
    fargan,
    lpcnet,
    gansynth,
    wavenet_autoencoder,
    wavenet,
    wavernn,
    phones,
]
"""For each page with commands, CARDS apart, a function that makes files that they read in the working directory.

The name of the function is that of the page.
"""


CARDS = ("card of fargan", "card of gansynth_notes")
"""Pages with recipes: training that takes long."""


@pytest.mark.process
@pytest.mark.parametrize("prepare", PREPARED, ids=lambda prepare: prepare.__name__)
def test_the_commands_of_a_page_run(
    prepare: Callable[[], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("speech").mkdir()
    soundfile.write("speech/a.wav", speech()[8000:16000], 16000)
    prepare()
    found = commands(prepare.__name__)
    assert found
    for words in sorted(found, key=lambda words: words[:2] == ["dspgraph", "plot"]):  # plots what `render` has written
        run(words)


def test_the_recipes_of_shipped_weights_have_settings_that_exist(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for page in CARDS:
        for words in commands(page):
            if words[:2] == ["dspgraph", "train"]:
                run(words)


def test_no_other_page_has_commands() -> None:
    tested = {prepare.__name__ for prepare in PREPARED} | set(CARDS)
    assert {page for page in PAGES if commands(page)} == tested


def test_the_program_on_the_live_page_runs() -> None:
    code, _ = blocks("live", "python")
    x = speech()[8000:24000]
    names: dict[str, object] = {"speech": x, "blocks": [x[k : k + 160] for k in range(0, 16000, 160)]}
    exec(code, names)
    parts, again = names["parts"], names["again"]
    assert isinstance(parts, list)
    assert isinstance(again, np.ndarray)
    played = np.concatenate(parts)
    assert len(played) > 8000
    np.testing.assert_array_equal(played, again[: len(played)])


def test_the_program_with_a_device_on_the_live_page_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    _, code = blocks("live", "python")
    device = FakeDevice(speech()[8000:24000], threads=True, repeat=True)
    monkeypatch.setattr("dspgraph.live.live.PortAudio", lambda: device)
    exec(code.replace("wait(10)", "wait(0.3)"), {"__name__": "__main__"})
    (command,) = [words for words in commands("live", "sh") if words[1] == "render"]
    run(command)
    assert Path("again/speech.wav").read_bytes() == Path("take/out.wav").read_bytes()


def test_the_pipeline_and_the_events_on_the_live_page_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (pipeline,), (events,) = blocks("live", "yaml"), blocks("live", "json")
    Path("live.yaml").write_text(pipeline)
    assert set(load("live.yaml").outputs) == {"speech"}
    soundfile.write("speech.wav", speech()[:32000], 16000)
    first = events.splitlines()[0] + "\n"  # the others are of other pipelines: a slot, an input for music
    Path("events.jsonl").write_text(first)
    run(["dspgraph", "render", "live.yaml", "speech.wav", "--events", "events.jsonl", "-o", "out"])
    assert len(soundfile.read("out/speech.flac")[0]) == 32000


def test_the_program_on_the_page_on_phones_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("a.TextGrid").write_text(
        'File type = "ooTextFile"\nObject class = "TextGrid"\n\nxmin = 0\nxmax = 3\ntiers? <exists>\nsize = 1\n'
        'item []:\n    item [1]:\n        class = "IntervalTier"\n        name = "phones"\n        xmin = 0\n        xmax = 3\n'
        "        intervals: size = 2\n        intervals [1]:\n            xmin = 0\n            xmax = 1\n"
        '            text = "aa"\n        intervals [2]:\n            xmin = 1\n            xmax = 3\n            text = "s"\n'
    )
    (code,) = blocks("phones", "python")
    names: dict[str, object] = {}
    exec(code, names)
    found = names["phones"]
    assert len(found.codes) == 61440  # type: ignore[attr-defined]

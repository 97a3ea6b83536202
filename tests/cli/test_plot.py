"""The command `plot`: the pictures, the paths of their files, and the requests that it refuses."""

import csv
from pathlib import Path

import numpy as np
import pytest
import soundfile
from click.testing import CliRunner, Result
from matplotlib.image import imread

from dspgraph.cli.main import main
from helpers.mixtures import mixtures, spoken, write_labels, write_mixture
from helpers.speech import speech

pytestmark = pytest.mark.thorough


def plot(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["plot", *map(str, arguments)])


@pytest.fixture
def wav(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Change to an empty folder; return the path of an audio file elsewhere, with half a second of real speech."""
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    path = tmp_path / "in" / "voice.wav"
    path.parent.mkdir()
    soundfile.write(path, speech()[8000:16000], 16000)
    return path


def written(wav: Path) -> list[str]:
    """Return the names of all files, finished or not, in the folders of the test, except the recording `wav`."""
    return sorted(path.name for path in wav.parent.parent.rglob("*") if path.is_file() and path != wav)


# ---- what is drawn --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "options", [["--rainbowgram"], ["--rainbowgram", "--swap", "spectrum=stft"], ["--spectrogram"]]
)
def test_the_picture_shows_sound_where_there_is_some(wav: Path, options: list[str]) -> None:
    """The picture of a tone, then silence, has fewer dark pixels in its left third than in its right third."""
    time = np.arange(16000) / 16000
    soundfile.write(wav, np.where(time < 0.5, np.sin(2 * np.pi * 1000 * time), 0), 16000)
    result = plot(wav, *options, "-o", "tone.png")
    assert result.exit_code == 0, result.output
    assert result.stdout == "tone.png\n"  # stderr may say that kernels are compiled
    assert written(wav) == ["tone.png"]
    picture = imread("tone.png")[..., :3]
    dark = (picture.max(axis=2) < 0.05).sum(axis=0)
    columns = np.flatnonzero(dark > 0.5 * dark.max())  # those of the image, without its frame
    third = len(columns) // 3
    assert np.median(dark[columns[:third]]) < np.median(dark[columns[-third:]]), "the tone is light on black"


@pytest.mark.parametrize(
    "options", [["--rainbowgram"], ["--rainbowgram", "--swap", "spectrum=stft"], ["--spectrogram"]]
)
def test_a_higher_tone_is_drawn_higher(wav: Path, options: list[str]) -> None:
    """The brightest row of the picture is more than 50 rows higher for a tone of 3500 Hz than for one of 150 Hz."""
    rows = []
    for hertz in (150, 3500):
        soundfile.write(wav, 0.5 * np.sin(2 * np.pi * hertz * np.arange(16000) / 16000), 16000)
        assert plot(wav, *options, "-o", "tone.png").exit_code == 0
        picture = imread("tone.png")[..., :3]
        middle = picture[:, int(0.3 * picture.shape[1]) : int(0.6 * picture.shape[1])]
        image = (middle.min(axis=2) < 0.99).mean(axis=1) > 0.9  # not the white around it
        rows.append(np.where(image, middle.max(axis=2).mean(axis=1), 0)[5:-5].argmax())
    assert rows[1] < rows[0] - 50


def test_the_picture_is_named_after_the_file_and_lies_here(wav: Path) -> None:
    assert plot(wav, "--spectrogram").output == "voice.png\n"
    assert Path("voice.png").read_bytes().startswith(b"\x89PNG")
    assert written(wav) == ["voice.png"]


def test_a_spectrogram_of_8_khz_stereo_or_of_20_samples_is_drawn(wav: Path) -> None:
    soundfile.write(wav, np.stack([speech()[:4000], speech()[:4000]], axis=1), 8000)
    assert plot(wav, "--spectrogram").exit_code == 0
    soundfile.write(wav, speech()[:20], 16000)  # shorter than a window
    assert plot(wav, "--spectrogram").exit_code == 0


def test_a_file_name_with_signs_of_a_formula_is_no_error(wav: Path) -> None:
    odd = wav.with_name("a $\\x^ b$.wav")
    odd.write_bytes(wav.read_bytes())
    assert plot(odd, "--spectrogram", "-o", "odd.png").exit_code == 0


def test_a_letter_no_font_has_is_no_warning(wav: Path) -> None:
    odd = wav.with_name("\N{CJK UNIFIED IDEOGRAPH-97F3}.wav")
    odd.write_bytes(wav.read_bytes())
    assert plot(odd, "--spectrogram", "-o", "odd.png").exit_code == 0


# ---- refusals -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["--rainbowgram", "--spectrogram"])
def test_what_is_no_recording_is_refused(wav: Path, kind: str) -> None:
    folder = wav.parent
    (folder / "text.wav").write_text("no audio")
    soundfile.write(folder / "silent.wav", np.zeros(8000), 16000)
    for name, complaint in {
        "none.wav": "none.wav does not exist",
        "text.wav": "text.wav is not an audio file that can be read",
        "silent.wav": "silent.wav is silent, once mixed to one channel: there is nothing to draw",
        ".": "is a folder, not a file",
    }.items():
        result = plot(folder / name, kind, "-o", "picture.png")
        assert result.exit_code == 2
        assert complaint in result.output
        assert "Traceback" not in result.output
    assert not Path("picture.png").exists()


@pytest.mark.parametrize("kind", ["--rainbowgram", "--spectrogram"])
def test_a_picture_that_cannot_be_written_leaves_nothing_behind(wav: Path, kind: str) -> None:
    Path("taken.png").mkdir()
    for target, complaint in {
        "nowhere/picture.png": "nowhere/picture.png cannot be written: No such file or directory",
        "taken.png": "taken.png is a folder",
        "picture.jpg": "picture.jpg: pictures are written as .png: name it picture.png",
    }.items():
        result = plot(wav, kind, "-o", target)
        assert result.exit_code == 2
        assert complaint in result.output
    assert written(wav) == []


def test_a_failure_while_drawing_keeps_the_picture_there_was(wav: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    Path("voice.png").write_bytes(b"before")
    monkeypatch.setattr("matplotlib.figure.Figure.savefig", full)
    result = plot(wav, "--spectrogram")
    assert result.exit_code == 2
    assert "voice.png cannot be written: No space left on device" in result.output
    assert Path("voice.png").read_bytes() == b"before"
    assert written(wav) == ["voice.png"]


def test_a_picture_that_is_replaced_is_told(wav: Path) -> None:
    assert plot(wav, "--spectrogram").output == "voice.png\n"
    assert plot(wav, "--spectrogram").output == "note: voice.png was there, and is replaced\nvoice.png\n"


def test_no_kind_or_two_kinds_of_picture_or_a_swap_of_a_spectrogram_is_refused(wav: Path) -> None:
    for kinds in ([], ["--rainbowgram", "--spectrogram"]):
        result = plot(wav, *kinds)
        assert result.exit_code == 2
        assert "plot draws one picture: give --rainbowgram or --spectrogram or --pipeline PIPELINE" in result.output
    result = plot(wav, "--spectrogram", "--swap", "spectrum=stft")
    assert result.exit_code == 2
    assert "a spectrogram has none: drop it" in result.output
    assert written(wav) == []


def test_an_unknown_variant_is_refused_with_the_nearest(wav: Path) -> None:
    result = plot(wav, "--rainbowgram", "--swap", "spectrum=stftt")
    assert result.exit_code == 2
    assert "did you mean 'stft'?" in result.output


# ---- the phone study ------------------------------------------------------------------------------------------------


@pytest.fixture
def npz(tmp_path: Path, wav: Path) -> Path:
    """Return the path of u.npz, half a second of mixtures of logistics at 16 kHz, with the label file u.lab beside it.

    The phones aa1_B and s_E take turns; their mixtures have the scales 10**-3.25 and 10**-1.55. The recording `wav` is
    removed, and the test runs in an empty folder elsewhere.
    """
    phones = spoken(["aa1_B", "s_E"], 8000)
    write_labels(wav.with_name("u.lab"), phones)
    path = write_mixture(wav.with_name("u.npz"), mixtures(phones, {"aa1_B": 10**-3.25, "s_E": 10**-1.55}))
    wav.unlink()
    return path


def test_the_phone_study_is_a_picture_and_a_table(npz: Path) -> None:
    result = plot(npz, "--phones", npz.with_suffix(".lab"), "--fold", "position", "--fold", "stress", "--phone", "aa")
    assert result.exit_code == 0, result.output
    assert result.stdout == "u.png\nu.csv\n"
    assert result.stderr == "note: 100 % of 8000 samples are in an interval\n"
    picture = imread("u.png")[..., :3]
    assert picture.std() > 0.1
    with Path("u.csv").open(newline="") as file:
        rows = {row["phone"]: row for row in csv.DictReader(file)}
    assert {phone: round(float(row["mean_log10_scale"]), 6) for phone, row in rows.items()} == {"aa": -3.25, "s": -1.55}
    assert sorted(path.name for path in Path().iterdir()) == ["u.csv", "u.png"]


def test_the_options_of_the_phone_study_reach_the_reader(npz: Path) -> None:
    grid = npz.with_suffix(".TextGrid")
    grid.write_text(
        '"ooTextFile" "TextGrid" 0 1 <exists> 2 "IntervalTier" "x" 0 1 1 0 1 "a" "IntervalTier" "y" 0 1 1 0 1 "b"'
    )
    assert plot(npz, "--phones", grid, "--tier", "y", "--stream", "distribution", "--offset", "1/8").exit_code == 0
    labels = Path("u.csv").read_text().splitlines()
    assert [line.split(",")[:3] for line in labels[1:]] == [['"(outside)"', "2000", "0.125"], ['"b"', "6000", "0.375"]]
    text = npz.with_suffix(".txt")
    text.write_text("0 4000 c\n")
    assert plot(npz, "--phones", text, "--alignment-format", "timit", "-o", "z.png").exit_code == 0
    assert '"c",4000,0.25' in Path("z.csv").read_text()
    text.write_text("v 1 0 0.5 d\nw 1 0 0.5 e\n")
    assert plot(npz, "--phones", text, "--alignment-format", "ctm", "--utterance", "w", "-o", "z.png").exit_code == 0
    assert '"e",8000' in Path("z.csv").read_text()


def test_faults_of_a_phone_study_are_told_before_anything_is_written(npz: Path, wav: Path) -> None:
    labels = npz.with_suffix(".lab")
    for arguments, complaint in {
        (npz, "--phones", labels, "--phone", "zz"): "no sample has the phone 'zz'; there are: aa1_B, s_E",
        (npz, "--phones", labels, "--fold", "tone"): "no fold 'tone'; there are: position, stress",
        (npz, "--phones", labels, "--offset", "soon"): "--offset: 'soon' is not a number",
        (npz, "--phones", labels, "--alignment-format", "xml"): "no format of alignments 'xml'",
        (npz, "--phones", labels, "--swap", "a=b"): "the picture of a distribution has none: drop it",
        (npz, "--phones", labels, "--rainbowgram"): "plot draws one picture: give --rainbowgram or --spectrogram",
        (npz, "--spectrogram", "--tier", "a"): "--tier belongs to --phones ALIGNMENT: drop it",
        (npz, "--spectrogram", "--fold", "stress"): "--fold belongs to --phones ALIGNMENT: drop it",
        (npz, "--spectrogram", "--alignment-format", "htk"): "--alignment-format belongs to --phones",
        (npz, "--phones", labels, "-o", "u.jpg"): "pictures are written as .png",
        (labels, "--phones", labels): "u.lab is no .npz file, or is damaged",
        (npz, "--phones", npz.with_name("none.lab")): "none.lab does not exist",
    }.items():
        result = plot(*arguments)
        assert result.exit_code == 2, result.output
        assert complaint in result.output
        assert "Traceback" not in result.output
    assert list(Path().iterdir()) == []


# ---- streams --------------------------------------------------------------------------------------------------------


def test_the_streams_of_a_pipeline_or_of_a_file_it_wrote_are_drawn(wav: Path) -> None:
    result = plot(wav, "--pipeline", "mel_features", "--stream", "bands", "--stream", "mel", "-o", "a.png")
    assert (result.exit_code, result.stdout) == (0, "a.png\n"), result.output
    rendered = CliRunner().invoke(main, ["render", "mel_features", str(wav), "-o", "out"])
    assert rendered.exit_code == 0, rendered.output
    assert plot("out/voice.npz", "-o", "b.png").exit_code == 0
    assert plot("out/voice.npz", "--stream", "mel", "-o", "c.png").exit_code == 0
    assert (imread("b.png") == imread("c.png")).all()
    assert imread("a.png").shape[0] > 1.5 * imread("b.png").shape[0]


def test_options_that_belong_to_another_picture_are_refused(wav: Path) -> None:
    refused = {
        (wav, "--spectrogram", "--stream", "f0"): "--stream belongs to --pipeline, to --phones, or to an .npz file",
        (wav, "--spectrogram", "--pipeline", "f0"): "plot draws one picture",
        ("a.npz", "--swap", "a=b"): "an .npz file has none: drop it",
        ("a.npz", "--phones", "b.lab", "--stream", "x", "--stream", "y"): "--phones draws one stream; found --stream x",
        (wav, "--pipeline", "mel_features", "--stream", "mell"): "nothing is called 'mell'; there are: bands",
        ("a.npz",): "a.npz",
    }
    for arguments, message in refused.items():
        result = plot(*arguments)
        assert result.exit_code != 0
        assert message in result.output, result.output
    assert written(wav) == []

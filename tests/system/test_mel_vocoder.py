"""The pipeline `mel_vocoder`: four vocoders on one page, whose common stages are computed once."""

import json
from pathlib import Path

import pytest
import soundfile
from click.testing import CliRunner, Result

from dspgraph import PipelineError, load
from dspgraph.cli.main import main
from dspgraph.evaluation.metrics import measure
from helpers.networks import overrides
from helpers.speech import speech

VOCODERS = ["griffin_lim", "wavernn", "wavenet", "lpcnet"]


def compared(folder: Path, *options: str) -> Result:
    """Run `compare` for the vocoders of `mel_vocoder` on a quarter of a second of speech, and return its result.

    folder: for the recording clip.wav, and for the results, in `out`. options: further options of the command. Without
    a --swap all vocoders are compared, and without their weights the command fails.
    """
    soundfile.write(folder / "clip.wav", speech()[16000:20000], 16000)
    arguments = ["compare", "mel_vocoder", str(folder / "clip.wav"), "-o", str(folder / "out"), "--metrics", "lsd"]
    return CliRunner().invoke(main, [*arguments, *options])


def test_four_vocoders_are_compared_on_one_page_and_share_their_features(tmp_path: Path) -> None:
    given = overrides("mel_vocoder")
    result = compared(tmp_path, *(word for one in given for word in ("-s", one)))
    assert result.exit_code == 0, result.output
    said = json.loads((tmp_path / "out" / "results.json").read_text())
    assert [one["name"] for one in said["variants"]] == VOCODERS
    assert (tmp_path / "out" / "report.html").is_file()
    assert len(list(tmp_path.glob("out/audio/*/clip.flac"))) == 1 + len(VOCODERS)
    sizes = {name: len(load("mel_vocoder", given, {"vocoder": name}).order) for name in VOCODERS}
    # Shared by all four: the high-pass of two stages; by three: the four stages of `mel_features`. Of each vocoder: its
    # own stages, its level, and the limit of the peaks.
    assert said["stages"] == {"asked": sum(sizes.values()), "computed": sum(sizes.values()) - 3 * 2 - 2 * 4}


def test_some_vocoders_are_compared_with_the_weights_of_these_alone(tmp_path: Path) -> None:
    wavenet = next(one for one in overrides("mel_vocoder") if one.startswith("wavenet="))
    result = compared(tmp_path, "-s", wavenet, "--swap", "vocoder=griffin_lim,wavenet")
    assert result.exit_code == 0, result.output
    said = json.loads((tmp_path / "out" / "results.json").read_text())
    assert [one["name"] for one in said["variants"]] == ["griffin_lim", "wavenet"]


@pytest.mark.parametrize("model", ["wavernn", "wavenet", "lpcnet"])
def test_a_vocoder_without_weights_says_how_to_train_it(model: str) -> None:
    with pytest.raises(PipelineError, match=rf"{model}\.weights is not given.*dspgraph train {model}"):
        load("mel_vocoder", (), {"vocoder": model})


def test_a_comparison_without_weights_names_the_way_out(tmp_path: Path) -> None:
    result = compared(tmp_path)
    assert result.exit_code != 0
    assert "dspgraph train wavernn" in result.output
    assert "--swap vocoder=griffin_lim" in result.output


def test_griffin_lim_of_the_log_mel_bands_is_as_near_as_that_of_the_power_in_the_bands() -> None:
    x = speech()
    found = {
        name: measure(x, load(name, (), swap)(speech=x)["speech"], 16000, ["lsd"])["lsd"] or 99
        for name, swap in (("mel_vocoder", {}), ("griffin_lim", {"seen": "mel"}))
    }
    assert found["mel_vocoder"] < found["griffin_lim"] + 0.1  # measured 7.05 and 7.04 dB

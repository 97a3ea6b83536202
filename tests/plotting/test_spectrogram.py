"""Spectrograms: their axes, and the common scales of small pictures."""

import io
import os
from pathlib import Path

import numpy as np
import soundfile
from numpy.testing import assert_allclose
from PIL import Image

from dspgraph.plotting.spectrogram import MINIATURE, miniatures, spectrogram, spectrograms
from helpers.speech import speech


def test_rows_and_columns_of_a_spectrogram_are_centred_on_their_frequency_and_time() -> None:
    figure = spectrogram(speech()[8000:16000], 16000, "a")
    extent = figure.axes[0].images[0].get_extent()
    assert_allclose(extent[2:], (-15.625, 8015.625))  # 512 samples: bins of 31.25 Hz
    assert_allclose(extent[:2], (0.012, 0.484), atol=0.005)  # from the middle of the first window to that of the last
    assert figure.axes[0].images[0].origin == "lower"


def test_small_spectrograms_share_their_scales(tmp_path: Path) -> None:
    """A tone is drawn in the row of its frequency and the columns of its time; 20 dB less are 16 of 64 levels less.

    The axes reach to the end of the longest file, and to half the highest rate; beyond its own, a picture is black.
    """
    steps = np.arange(2 * 16000) / 16000
    soundfile.write(tmp_path / "loud.wav", 0.5 * np.sin(2 * np.pi * 3000 * steps), 16000)
    soundfile.write(tmp_path / "soft.wav", 0.05 * np.sin(2 * np.pi * 3000 * steps[:16000]), 16000)
    soundfile.write(tmp_path / "slow.wav", 0.5 * np.sin(2 * np.pi * 1500 * steps), 8000)  # 750 Hz, 4 s
    loud, soft, slow = (
        np.asarray(Image.open(io.BytesIO(png)))
        for png in miniatures([tmp_path / f"{name}.wav" for name in ("loud", "soft", "slow")]).spectrograms
    )
    columns, rows = MINIATURE
    assert loud.shape == (rows, columns)
    assert loud[:, 200].argmax() == soft[:, 100].argmax() == rows - 1 - int(3000 / 8000 * rows)
    assert slow[:, 600].argmax() == rows - 1 - int(750 / 8000 * rows)
    assert int(loud[:, 200].max()) - int(soft[:, 100].max()) == 16
    assert loud[:, 405:].max() == soft[:, 205:].max() == 0  # the longest is 4 s
    assert slow[: rows // 2, 4:-4].max() == 0  # above its own bandwidth


def test_the_difference_to_the_first_file_has_a_colour_for_two_decibels(tmp_path: Path) -> None:
    steps = np.arange(16000) / 16000
    for name, gain in (("first", 0.4), ("softer", 0.4 / 10**0.5), ("louder", 0.8)):  # -10 dB, +6 dB
        soundfile.write(tmp_path / f"{name}.wav", gain * np.sin(2 * np.pi * 3000 * steps), 16000)
    drawn = miniatures([tmp_path / f"{name}.wav" for name in ("first", "softer", "louder")]).differences
    first, softer, louder = (np.asarray(Image.open(io.BytesIO(png))) for png in drawn)
    row = MINIATURE[1] - 1 - int(3000 / 8000 * MINIATURE[1])
    assert np.ptp(first) == 0  # the middle of 25 colours
    assert [int(one[row, 400]) - 12 for one in (first, softer, louder)] == [0, -5, 3]


def test_silence_and_files_without_samples_have_a_picture(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "silent.wav", np.zeros(100), 8000)
    soundfile.write(tmp_path / "empty.wav", np.zeros(0), 8000)
    for png in miniatures([tmp_path / "silent.wav", tmp_path / "empty.wav"]).spectrograms:
        assert np.asarray(Image.open(io.BytesIO(png))).max() == 0
    assert miniatures([]).spectrograms == []


def test_titles_and_names_of_files_may_have_any_letter(tmp_path: Path) -> None:
    path = tmp_path / "a$\\x$\udcff.wav"
    soundfile.write(os.fsencode(path), speech()[:8000], 16000)
    drawn = spectrograms({path.name: path}, tmp_path / "drawn.png")
    with Image.open(drawn) as image:
        assert image.size[0] > 100

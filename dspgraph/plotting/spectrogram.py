"""Spectrograms of audio: figures with axes, and small pictures without axes."""

from __future__ import annotations

import io
import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import soundfile

from dspgraph.errors import FileError
from dspgraph.io.audio import AudioSource, rate_of, reading, sound_info
from dspgraph.plotting.canvas import label, new_figure, row_edges, save
from dspgraph.streams import Array, Audio

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.image import AxesImage

HALF_WINDOW = 0.016
"""Half the length of the analysis window, in seconds."""

_SILENCE = 1e-20
"""The least power that is drawn. Smaller powers are raised to it, so that the logarithm of a power of 0 is finite."""

MINIATURE = (800, 128)
"""The numbers of columns and rows of a small spectrogram, in pixels."""

_LEVELS = 64
"""The number of colours of a small spectrogram: each colour covers 1.25 dB of the range of 80 dB."""

DIFFERENCE = 24
"""The largest difference in dB that the colours of a picture of differences show: about 2 dB for each colour."""

_BLOCK = 2**18
"""The number of samples per channel that are read in one step for a small spectrogram."""


def spectrograms(files: Mapping[str, Path], target: Path) -> Path:
    """Write one PNG file with the spectrograms of several audio files side by side, and return its path.

    files: title -> audio file, one or more. Channels are averaged. The windows are Hann windows of 32 ms. All
    spectrograms have the same colour scale: power densities from -130 to -50 dB re 1/Hz, for samples with full scale
    +-1. Raises FileError if a file cannot be read, or if `target` cannot be written.
    """
    figure = new_figure(3.1 * len(files), 3.4)
    axes = figure.subplots(1, len(files), sharey=True, squeeze=False)[0]
    image = None
    for axis, (name, path) in zip(axes, files.items(), strict=True):
        with reading(path):
            samples, rate = soundfile.read(os.fsencode(path), dtype="float64", always_2d=True)
        image = draw_spectrogram(axis, samples.mean(axis=1), rate)
        image.set_clim(-130, -50)
        label(axis, name, y="")
    axes[0].set_ylabel("Hz")
    if image is not None:
        figure.colorbar(image, ax=axes, label="dB")
    return save(figure, target)


def file_spectrogram(file: Path) -> Figure:
    """Draw the spectrogram of an audio file at its own rate, mixed to one channel.

    Raises FileError if the file cannot be read, or if all of its samples are 0.
    """
    rate = rate_of(file)
    return spectrogram(read_audible(file, Audio(rate)), float(rate), file.name)


def read_audible(file: Path, stream: Audio) -> Array:
    """Return all samples of a file, with the rate and channels of a stream: [n], or [n, channels] for several channels.

    The file is converted if its rate or channels differ. Raises FileError if the file cannot be read, or if all of its
    samples are 0.
    """
    samples = AudioSource(file, stream).read()
    if not samples.any():
        mixed = ", once mixed to one channel" if stream.channels == 1 else ""
        raise FileError(f"{file} is silent{mixed}: there is nothing to draw")
    return samples


def spectrogram(samples: Array, rate: float, title: str) -> Figure:
    """Draw a spectrogram with Hann windows of 32 ms. The colours span 80 dB, down from the loudest point.

    samples: [n], full scale +-1; rate: in Hz.
    """
    figure = new_figure(9, 3.6)
    axis = figure.subplots()
    image = draw_spectrogram(axis, samples, rate)
    loudest = float(np.max(image.get_array()))  # type: ignore[arg-type]  # a drawn image has an array
    image.set_clim(loudest - 80, loudest)
    label(axis, title)
    figure.colorbar(image, ax=axis, label="dB")
    return figure


@dataclass(frozen=True)
class Miniatures:
    """Small pictures of audio files, without axes, each as the bytes of a PNG file.

    spectrograms: one for each file, in dB. differences: for each file its spectrogram minus the spectrogram of the
    first file, in dB, from blue (softer by DIFFERENCE dB or more) to red (louder by as much). Before the subtraction,
    levels below the range of 80 dB are raised to its lower end.
    """

    spectrograms: list[bytes]
    differences: list[bytes]


def miniatures(files: Sequence[Path]) -> Miniatures:
    """Return small spectrograms of audio files, and their differences to the first file.

    All have the same scales: the time of the longest file, the frequencies of the highest rate, and 80 dB from the
    loudest point of all files down to black. Channels are averaged. The windows are Hann windows of 32 ms. The memory
    does not grow with the length of a file. Raises FileError for a file that cannot be read.
    """
    infos = [sound_info(path) for path in files]
    seconds = max((info.duration for info in infos), default=0.0)
    top = max((info.samplerate / 2 for info in infos), default=0.0)
    energies = [_miniature(path, seconds, top) for path in files]
    loudest = max((float(energy.max()) for energy in energies), default=0.0)
    levels = [_levels(energy, max(loudest, _SILENCE)) for energy in energies]
    return Miniatures([_png(one, "magma") for one in levels], [_difference(one, levels[0]) for one in levels])


def _miniature(path: Path, seconds: float, top: float) -> Array:
    """Return the mean energy of a file in every pixel of a small spectrogram: [rows, columns], see MINIATURE.

    The energy is |X|**2 / (sum of the window)**2, for the mean of the channels. It is 0 after the end of the file, and
    above half of its rate. Row 0 has the lowest frequencies. seconds, top: the time at the right edge, not before the
    end of the file, and the frequency in Hz at the upper edge; both axes begin at 0.
    """
    columns, rows = MINIATURE
    total, counts = np.zeros((columns, rows)), np.zeros((columns, 1))
    with reading(path), soundfile.SoundFile(os.fsencode(path)) as file:
        rate = file.samplerate
        half = max(4, round(rate * HALF_WINDOW))
        hop = max(1, min(half // 2, math.floor(seconds * rate / columns)))
        edges = np.ceil(np.arange(rows) * top / rows * 2 * half / rate).astype(int)
        edges = edges[edges <= half]  # the first frequency bin of each row, up to half the rate of the file
        held, first, ended = np.zeros(half), 0, False
        while not ended:
            block = file.read(_BLOCK, dtype="float64", always_2d=True).mean(axis=1)
            ended = len(block) < _BLOCK
            held = np.concatenate([held, block, np.zeros(half * ended)])
            powers = _powers(held, half, hop)
            energy = np.add.reduceat(powers, edges, axis=1)
            # Divide by the number of bins in each row. A row without any bin has the energy of the next bin above it.
            energy /= np.maximum(np.diff(np.append(edges, half + 1)), 1)
            times = (first + np.arange(len(powers))) * hop / rate
            exact = times / max(seconds, 1 / rate) * columns + 1e-9  # a rounding error must not leave a column empty
            places = np.minimum(exact, columns - 1).astype(int)
            np.add.at(total[:, : len(edges)], places, energy)
            np.add.at(counts, places, 1)
            held, first = held[len(powers) * hop :], first + len(powers)
    means: Array = (total / np.maximum(counts, 1) / _window(half).sum() ** 2).T
    return means


def _levels(energy: Array, loudest: float) -> Array:
    """Return energies, [rows, columns], as levels that are linear in dB: 1 at `loudest`, 0 at 80 dB below or less."""
    levels: Array = np.clip(1 + 10 * np.log10(np.maximum(energy / loudest, _SILENCE)) / 80, 0, 1)
    return levels


def _difference(levels: Array, reference: Array) -> bytes:
    return _png(0.5 + (levels - reference) * 80 / DIFFERENCE / 2, "RdBu_r", DIFFERENCE + 1)


def _png(shares: Array, colours: str, count: int = _LEVELS) -> bytes:
    """Return the bytes of a PNG file, high frequencies at the top.

    shares: [rows, columns], numbers from 0 (the first colour) to 1 (the last colour); row 0 has the lowest frequencies.
    colours: the name of a colour map of matplotlib. count: the number of colours.
    """
    from matplotlib import colormaps
    from PIL import Image

    image = Image.fromarray(np.clip(np.floor(shares * count), 0, count - 1).astype(np.uint8)[::-1])
    image.putpalette(colormaps[colours](np.linspace(0, 1, count), bytes=True)[:, :3].tobytes())
    file = io.BytesIO()
    image.save(file, "PNG", optimize=True)
    return file.getvalue()


def draw_spectrogram(axis: Axes, samples: Array, rate: float) -> AxesImage:
    """Draw the spectrogram of a signal on `axis`, and return the image. Its values are power densities in dB re 1/Hz.

    The windows are Hann windows of 32 ms, and the hop is a quarter of a window. A signal of at most one window is
    padded with zeros at its end. samples: [n], full scale +-1. rate: in Hz. The range of the colours is left to the
    caller.
    """
    half = max(1, round(rate * HALF_WINDOW))
    length = 2 * half
    hop = length - length * 3 // 4
    powers = _powers(np.pad(samples, (0, max(0, length + 1 - len(samples)))), half, hop)
    density = powers * 2 / (rate * (_window(half) ** 2).sum())
    density[:, [0, -1]] /= 2  # no factor 2 where there is no negative frequency: 0 Hz, half the rate
    first, last = half / rate, (half + (len(powers) - 1) * hop) / rate
    return axis.imshow(
        10 * np.log10(np.maximum(density, _SILENCE)).T,
        cmap="magma",
        origin="lower",
        aspect="auto",
        extent=(first - hop / 2 / rate, last + hop / 2 / rate, *row_edges(np.fft.rfftfreq(length, 1 / rate))),
    )


def _powers(samples: Array, half: int, hop: int) -> Array:
    """Return the power spectra |X|**2 of windowed frames: [frames, half + 1].

    A frame has 2 * half samples, and a Hann window. The first frame begins at sample 0, each next one `hop` samples
    later. samples: [n], with n at least 2 * half.
    """
    frames = np.lib.stride_tricks.sliding_window_view(samples, 2 * half)[::hop]
    spectra = np.fft.rfft(frames * _window(half), axis=1)
    powers: Array = spectra.real**2 + spectra.imag**2
    return powers


def _window(half: int) -> Array:
    """Return a periodic Hann window of 2 * half samples."""
    return np.hanning(2 * half + 1)[:-1]

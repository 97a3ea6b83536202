"""Pictures of sound."""

from __future__ import annotations

import io
import math
import os
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import soundfile

from dspgraph.io.atomic import AtomicFile
from dspgraph.streams import Array

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.image import AxesImage

RANGE = 70.0
"""Decibels from the brightest point of a rainbowgram down to black."""

COLUMNS = 1600
"""Largest number of columns in the picture of a distribution."""

MINIATURE = (400, 128)
"""Columns and rows of a small spectrogram."""

LEVELS = 64
"""Colours of a small spectrogram: steps of 1.25 dB."""


def spectrograms(files: Mapping[str, Path], target: Path) -> Path:
    """One PNG with the spectrograms of files side by side, one scale for all: 32 ms Hann windows, 80 dB."""
    figure = _figure(3.1 * len(files), 3.4)
    axes = figure.subplots(1, len(files), sharey=True, squeeze=False)[0]
    image = None
    for axis, (name, path) in zip(axes, files.items(), strict=True):
        samples, rate = soundfile.read(str(path), dtype="float64", always_2d=True)
        image = _spectrogram(axis, samples.mean(axis=1), rate)
        image.set_clim(-130, -50)
        axis.set(title=name, xlabel="s")
    axes[0].set_ylabel("Hz")
    if image is not None:
        figure.colorbar(image, ax=axes, label="dB")
    return save(figure, target)


def miniatures(files: Sequence[Path]) -> list[bytes]:
    """Small bare spectrograms of files, as PNG: one scale of time, frequency and loudness for all of them.

    32 ms Hann windows, 80 dB down from the loudest point of all to black. Memory is bounded whatever the files' length.
    """
    infos = [soundfile.info(os.fsencode(path)) for path in files]
    seconds = max((info.duration for info in infos), default=0.0)
    top = max((info.samplerate / 2 for info in infos), default=0.0)
    drawn = [_miniature(path, seconds, top) for path in files]
    loudest = max((float(energy.max()) for energy in drawn), default=0.0)
    return [_png(energy, max(loudest, 1e-20)) for energy in drawn]


def spectrogram(samples: Array, rate: float, title: str) -> Figure:
    """The spectrogram of samples [n]: 32 ms Hann windows, 80 dB down from the loudest point."""
    figure = _figure(9, 3.6)
    axis = figure.subplots()
    image = _spectrogram(axis, samples, rate)
    loudest = float(np.max(image.get_array()))  # type: ignore[arg-type]  # an image that was drawn has an array
    image.set_clim(loudest - 80, loudest)
    _label(axis, title)
    figure.colorbar(image, ax=axis, label="dB")
    return figure


def rainbowgram(magnitude: Array, advance: Array, frequencies: Array, seconds: float, title: str) -> Figure:
    """A picture in which brightness is the magnitude and hue how far the phase advances from row to row.

    magnitude: [n, bins], natural logarithms; advance: [n, bins], over pi, from -1 to 1; frequencies: [bins], Hz:
    octaves stand equally far apart where the first is above 0.
    """
    figure = _figure(9, 4.8)
    axis = figure.subplots()
    octaves = frequencies[0] > 0
    low, high = (0.0, float(len(frequencies))) if octaves else _edges(frequencies)
    axis.imshow(rainbow(magnitude, advance), origin="lower", aspect="auto", extent=(0, seconds, low, high))
    if octaves:
        periods = np.arange(0, np.log2(frequencies[-1] / frequencies[0]) + 1e-9)
        places = np.interp(periods, np.log2(frequencies / frequencies[0]), np.arange(len(frequencies)) + 0.5)
        axis.set_yticks(places, [f"{frequencies[0] * 2**octave:.4g}" for octave in periods])
    _label(axis, title)
    return figure


def rainbow(magnitude: Array, advance: Array) -> Array:
    """The colours [bins, n, 3] of a rainbowgram: the hue of the advance under a black mask, denser where it is fainter.

    The mask is open at the largest magnitude and closed 70 dB below. Source: the NSynth notebook of J. Engel et al.,
    Neural Audio Synthesis of Musical Notes with WaveNet Autoencoders, ICML 2017.
    """
    from matplotlib import colormaps

    decibels = 20 / np.log(10) * (magnitude - magnitude.max())
    opacity = np.clip(decibels / RANGE + 1, 0, 1)
    hue = colormaps["rainbow"]((advance + 1) / 2)[..., :3]
    colours: Array = (hue * opacity[..., None]).swapaxes(0, 1)
    return colours


def distribution(probabilities: Array, levels: Array, rate: float, title: str) -> Figure:
    """Draw the categorical distribution that a model predicts for every sample, with dots at the true levels.

    probabilities: [n, size], each row sums to 1; levels: [n], the true levels, below size; rate: samples per second.
    If there are more samples than columns in the picture, a column shows the mean of its samples. The lower axes show
    the entropy and the cross-entropy -ln p of the true level, in nats.
    """
    seconds = len(levels) / rate
    begins = np.unique(np.linspace(0, len(levels), min(len(levels), COLUMNS), endpoint=False).astype(int))
    counts = np.diff(np.append(begins, len(levels)))

    def pooled(values: Array) -> Array:
        found: Array = (np.add.reduceat(values, begins, dtype=np.float64).T / counts).T
        return found

    tiny = np.finfo(probabilities.dtype).tiny
    entropy = -(probabilities * np.log(np.maximum(probabilities, tiny))).sum(axis=1)
    cost = -np.log(np.maximum(np.take_along_axis(probabilities, levels[:, None].astype(np.int64), 1)[:, 0], tiny))
    figure = _figure(11, 6)
    above, below = figure.subplots(2, sharex=True, height_ratios=(3, 1))
    shares = np.log10(np.maximum(pooled(probabilities), 1e-6)).T
    extent = (0, seconds, -0.5, len(shares) - 0.5)
    image = above.imshow(shares, cmap="magma", origin="lower", aspect="auto", extent=extent)
    image.set_clim(-4, 0)
    figure.colorbar(image, ax=above, label="log10 p")
    above.plot((np.arange(len(levels)) + 0.5) / rate, levels, ",", color="cyan", alpha=0.6)
    times = (begins + counts / 2) / rate
    below.plot(
        times, pooled(cost), color="tab:cyan", linewidth=0.7, label=f"-ln p of the true level, mean {cost.mean():.2f}"
    )
    below.plot(times, pooled(entropy), color="black", linewidth=0.9, label=f"entropy, mean {entropy.mean():.2f}")
    below.legend(loc="upper right", fontsize="small")
    below.set(xlabel="s", ylabel="nats", ylim=(0, None))
    _label(above, title)
    above.set(xlabel="", ylabel="level")
    return figure


def save(figure: Figure, target: Path) -> Path:
    """The figure as a PNG: whole, or not there."""
    part = AtomicFile(target)
    with part.attempt(), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing from font")  # in a file's name: it draws a box
        figure.savefig(part.temporary, format="png", dpi=110)
    part.place()
    return target


def _miniature(path: Path, seconds: float, top: float) -> Array:
    """The energy [rows, columns] of a file from 0 to `seconds` and 0 to `top` Hz, the mean within each point."""
    columns, rows = MINIATURE
    total, counts = np.zeros((columns, rows)), np.zeros((columns, 1))
    with soundfile.SoundFile(os.fsencode(path)) as file:
        rate = file.samplerate
        half = max(4, round(rate * 0.016))
        hop = max(1, min(half // 2, math.floor(seconds * rate / columns)))
        window = np.hanning(2 * half + 1)[:-1]
        edges = np.ceil(np.arange(rows) * top / rows * 2 * half / rate).astype(int)
        edges = edges[edges <= half]  # the first bin of a row; above the file's own bandwidth there is none
        held, first, ended = np.zeros(half), 0, False
        while not ended:
            block = file.read(2**18, dtype="float64", always_2d=True).mean(axis=1)
            ended = len(block) < 2**18
            held = np.concatenate([held, block, np.zeros(half * ended)])
            cut = np.lib.stride_tricks.sliding_window_view(held, 2 * half)[::hop]
            spectra = np.fft.rfft(cut * window, axis=1)
            energy = np.add.reduceat(spectra.real**2 + spectra.imag**2, edges, axis=1)
            energy /= np.maximum(np.diff(np.append(edges, half + 1)), 1)  # a row between two bins takes the upper one
            times = (first + np.arange(len(cut))) * hop / rate
            places = np.minimum(times / max(seconds, 1 / rate) * columns, columns - 1).astype(int)
            np.add.at(total[:, : len(edges)], places, energy)
            np.add.at(counts, places, 1)
            held, first = held[len(cut) * hop :], first + len(cut)
    found: Array = (total / np.maximum(counts, 1) / window.sum() ** 2).T
    return found


def _png(energy: Array, loudest: float) -> bytes:
    """80 dB down from the loudest as an image with a palette, high frequencies above."""
    from matplotlib import colormaps
    from PIL import Image

    shares = 1 + 10 * np.log10(np.maximum(energy / loudest, 1e-20)) / 80
    image = Image.fromarray(np.clip(np.floor(shares * LEVELS), 0, LEVELS - 1).astype(np.uint8)[::-1])
    image.putpalette(colormaps["magma"](np.linspace(0, 1, LEVELS), bytes=True)[:, :3].tobytes())
    file = io.BytesIO()
    image.save(file, "PNG", optimize=True)
    return file.getvalue()


def _figure(width: float, height: float) -> Figure:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def _spectrogram(axis: Axes, samples: Array, rate: float) -> AxesImage:
    from matplotlib.mlab import specgram

    length = max(2, 2 * round(rate * 0.016))
    samples = np.pad(samples, (0, max(0, length + 1 - len(samples))))
    drawn: tuple[Array, Array, Array] = specgram(samples, length, rate, noverlap=length * 3 // 4)  # type: ignore[assignment]  # arrays they are
    density, frequencies, times = drawn
    half = length / 8 / rate  # of the time from one column to the next
    return axis.imshow(
        10 * np.log10(np.maximum(density, 1e-20)),
        cmap="magma",
        origin="lower",
        aspect="auto",
        extent=(times[0] - half, times[-1] + half, *_edges(frequencies)),
    )


def _edges(frequencies: Array) -> tuple[float, float]:
    """Where rows begin and end that are centred on these frequencies, equally far apart."""
    half = float(frequencies[1] - frequencies[0]) / 2
    return float(frequencies[0]) - half, float(frequencies[-1]) + half


def _label(axis: Axes, title: str) -> None:
    axis.set_title(title.encode(errors="replace").decode(), parse_math=False)  # a file's name need not be text
    axis.set(xlabel="s", ylabel="Hz")

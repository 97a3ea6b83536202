"""The pitch of the sounds of a recording, as curves over their spectrograms."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import soundfile

from dspgraph.evaluation.metrics.pitch import pitch_track
from dspgraph.io.audio import reading
from dspgraph.streams import Array

STEP = 100.0
"""The upper end of the axis of the pitch is a multiple of STEP, in Hz."""


class PitchCurves:
    """The curves of the pitch of several sounds, on one scale.

    files: number of a sound -> audio file; channels are averaged. seconds: the time at the right edge of the picture.
    The attribute `top` is the pitch at the upper edge of the picture, in Hz. The attribute `paths` has, by number of a
    sound, the curve as the text of an SVG path, in a view that is 1000 wide and 100 high. A curve is broken where the
    sound is unvoiced or its pitch is outside F0_RANGE; it is empty if there is no pitch. Raises FileError for a file
    that cannot be read.
    """

    def __init__(self, files: Mapping[int, Path], seconds: float) -> None:
        tracks = {slot: _track(path) for slot, path in files.items()}
        highest = max((float(pitch.max(initial=0.0)) for _, pitch in tracks.values()), default=0.0)
        self.top = STEP * max(1, -(-highest // STEP))
        self.paths = {slot: _curve(hop, pitch, seconds, self.top) for slot, (hop, pitch) in tracks.items()}


def _track(path: Path) -> tuple[float, Array]:
    with reading(path):
        samples, rate = soundfile.read(os.fsencode(path), always_2d=True)
    return pitch_track(samples.mean(axis=1), rate)


def _curve(hop: float, pitch: Array, seconds: float, top: float) -> str:
    parts, voiced = [], False
    for k, hertz in enumerate(pitch):
        if hertz > 0:
            parts.append(f"{'L' if voiced else 'M'}{1000 * k * hop / seconds:.0f} {100 * (1 - hertz / top):.1f}")
        voiced = hertz > 0
    return "".join(parts)

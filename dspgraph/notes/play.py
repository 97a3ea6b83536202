"""The player of scores: a pipeline makes the sound of every note, and the sounds are added up."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import acos, ceil, floor, sin
from typing import Any

import numpy as np

from dspgraph.engine.batch import Batch
from dspgraph.errors import RequestError
from dspgraph.graph import Graph
from dspgraph.node import generator
from dspgraph.notes.score import ScoredNote, note_name
from dspgraph.streams import Array, Audio, Frames, Symbols

RISE, FADE = 0.01, 0.3
"""Seconds in which a note rises to its full loudness, and seconds in which it fades after its end."""

LOUDEST = 0.5
"""The largest absolute value of the samples of a score."""

MOST_SECONDS = 3600.0
"""The longest score that is played, in seconds: its samples are held in memory."""

_SHORTEST, _USUAL = 0.1, 1.0
"""Seconds that a note lasts by default: _USUAL, or less if the sounds of the graph are shorter; at least _SHORTEST."""

NOTES_AT_ONCE = 16
"""The number of notes whose sounds are computed together."""


class NoteGraph:
    """A graph that makes single notes.

    Its inputs are frames of the kind "latent" and symbols of the kind "pitch", one item for each note; a pitch is the
    number of semitones above the lowest pitch. The node that takes the pitch has an attribute `lowest_pitch`, the MIDI
    number of the lowest pitch. The node may have an attribute `latent_draws`, the means and standard deviations of the
    numbers of a latent vector, two arrays [width]; by default they are 0 and 1. The one audio output has the sounds.

    The attributes `latent`, `pitch` and `audio` are these streams; `lowest` is `lowest_pitch`; `longest` is the longest
    time in seconds before a note begins to fade: the duration of one item of `latent` less FADE. Raises RequestError
    for a graph that differs from this description.
    """

    def __init__(self, graph: Graph) -> None:
        inputs = {getattr(stream, "kind", ""): (name, stream) for name, stream in graph.inputs.items()}
        outputs = [(name, stream) for name, stream in graph.outputs.items() if isinstance(stream, Audio)]
        if set(inputs) != {"latent", "pitch"} or len(graph.inputs) != 2 or len(outputs) != 1:
            found = ", ".join(f"{name} ({stream})" for name, stream in graph.inputs.items())
            raise RequestError(
                "this pipeline makes no notes: its inputs are frames of the kind 'latent' and symbols of the kind "
                f"'pitch', and its one audio output has the sounds; found {found}: take gansynth_notes"
            )
        (latent, frames), (pitch, symbols) = inputs["latent"], inputs["pitch"]
        assert isinstance(frames, Frames)
        assert isinstance(symbols, Symbols)
        self.latent, self.pitch = frames, symbols
        ((output, self.audio),) = outputs
        taker = _taker(graph, pitch)
        self.lowest: int = taker.lowest_pitch
        draws: tuple[Any, Any] = getattr(taker, "latent_draws", (0.0, 1.0))
        self._means, self._deviations = draws
        self.longest = float(1 / frames.rate) - FADE
        self._graph, self._names = graph, (latent, pitch, output)

    @property
    def usual(self) -> float:
        """The seconds that a note lasts by default."""
        return max(_SHORTEST, min(_USUAL, self.longest))

    def latent_at(self, place: float, seed: int) -> Array:
        """Return the latent vector [width] at a place on the path of random vectors that belongs to a seed.

        The vector is means + deviations * v, with the means and deviations of `latent_draws` and with the result v of
        the function `latent_at`, which explains the path. place, seed: as for that function.
        """
        found: Array = self._means + self._deviations * latent_at(place, self.latent.width, seed)
        return found

    def sounds(self, latents: Array, pitches: Sequence[int]) -> list[Array]:
        """Return the sound of every note, [n] or [n, channels] with n samples.

        latents: [notes, width], the latent vector of each note. pitches: for each note, the semitones above the lowest
        pitch of the graph. Raises the first error of a note.
        """
        latent, pitch, output = self._names
        signals = [
            {latent: row[None].astype(self.latent.dtype), pitch: np.array([k], self.pitch.dtype)}
            for row, k in zip(latents, pitches, strict=True)
        ]
        found: dict[int, Array] = {}
        for k, result in Batch(self._graph, len(signals)).render(signals):
            if isinstance(result, Exception):
                raise result
            found[k] = result[output]
        return [found[k] for k in range(len(signals))]


def _taker(graph: Graph, pitch: str) -> Any:
    """Return the node that takes the input `pitch` and has the attribute `lowest_pitch`.

    Raises RequestError if there is no such node.
    """
    takers = [
        to.partition(".")[0]
        for to, wire in graph.wires.items()
        if pitch in ((wire,) if isinstance(wire, str) else wire)
    ]
    for name in takers:
        if hasattr(graph.nodes[name], "lowest_pitch"):
            return graph.nodes[name]
    raise RequestError(
        f"no node that takes the input '{pitch}' tells which note its pitch 0 is: give the class of "
        f"{' or '.join(map(repr, takers))} an attribute lowest_pitch, a MIDI number"
    )


def play(
    notes: Sequence[ScoredNote], graph: NoteGraph, seed: int = 0, change: float = 4.0,
    note: Callable[[str], None] = lambda line: None,
) -> Array:  # fmt: skip
    """Return the samples of a score, [n] or [n, channels], with the peak LOUDEST; zeros if all notes are silent.

    notes: at least one, in the order in which they begin. seed: the seed of the latent vectors. change: the seconds
    from one random latent vector to the next: a note that begins after t seconds has the vector at the place t / change
    of a path through random vectors (see `latent_at`). note: a function that is called with each line for the user,
    about notes that are left out or cut. The sound of a note is scaled to a peak of 1, rises in RISE seconds, fades in
    FADE seconds after the end of the note, and is multiplied by the velocity. A note that is longer than its sound ends
    with the sound; the result ends FADE seconds after the last end of a played note in the score. Raises RequestError
    if no note has a pitch that the graph makes, or if the result would be longer than MOST_SECONDS, and the errors of
    the graph.
    """
    rate, size, lowest = int(graph.audio.rate), graph.pitch.size, graph.lowest
    playable = [one for one in notes if 0 <= one.pitch - lowest < size]
    first, last = note_name(lowest), note_name(lowest + size - 1)
    outside = f"outside of the pitches of this pipeline, {first} to {last}"
    if not playable:
        raise RequestError(f"no note can be played: all are {outside}")
    if count := len(notes) - len(playable):
        note(f"{count} of {len(notes)} notes {'is' if count == 1 else 'are'} left out, {outside}")
    if (end := max(one.begin + one.seconds for one in playable) + FADE) > MOST_SECONDS:
        raise RequestError(f"the score lasts {end:.0f} s; at most {MOST_SECONDS:.0f} s are played")
    if count := sum(one.seconds > graph.longest for one in playable):
        end_early = "ends early" if count == 1 else "end early"
        lasts = f"a sound of this pipeline lasts {graph.longest + FADE:g} s"
        note(f"{count} of {len(playable)} notes {end_early}: {lasts}")
    mixed = np.zeros((ceil(end * rate), graph.audio.channels))
    for start in range(0, len(playable), NOTES_AT_ONCE):
        some = playable[start : start + NOTES_AT_ONCE]
        latents = np.stack([graph.latent_at(one.begin / change, seed) for one in some])
        for one, sound in zip(some, graph.sounds(latents, [one.pitch - lowest for one in some]), strict=True):
            _add(mixed, one, sound.reshape(len(sound), -1), rate, min(one.seconds, graph.longest))
    peak = np.abs(mixed).max()
    found = mixed * (LOUDEST / peak if peak else 1.0)
    return found[:, 0] if graph.audio.channels == 1 else found


def _add(mixed: Array, one: ScoredNote, sound: Array, rate: int, seconds: float) -> None:
    """Add the sound of the note `one`, with its envelope and velocity, to `mixed`, the samples of the score, in place.

    The sound is scaled to a peak of 1 before that; a silent sound adds nothing. mixed, sound: [n, channels]. rate:
    samples per second of both. seconds: the time from the beginning of the note until it begins to fade.
    """
    begin = round(one.begin * rate)
    count = min(len(sound), len(mixed) - begin, round((seconds + FADE) * rate))
    peak = np.abs(sound).max()
    if count <= 0 or not peak:
        return
    t = np.arange(count) / rate
    envelope = np.minimum(1.0, (t + 1 / rate) / RISE) * np.clip((seconds + FADE - t) / FADE, 0.0, 1.0)
    mixed[begin : begin + count] += (one.velocity / peak) * envelope[:, None] * sound[:count]


def latent_at(place: float, width: int, seed: int) -> Array:
    """Return the latent vector [width] at a place on a path through random vectors.

    At each whole number k, the path passes through a random vector, whose numbers are drawn from N(0, 1) by a generator
    that is seeded with `seed` and k. Between two of these vectors the path is interpolated by `slerp`. place: at least
    0. seed: from 0 to 2**64 - 1.
    """
    k = floor(place)
    a, b = (generator(seed + (n << 64)).standard_normal(width) for n in (k, k + 1))
    return slerp(a, b, place - k)


def slerp(a: Array, b: Array, share: float) -> Array:
    """Return the vector at a share, from 0 to 1, of the way from a to b on the sphere: spherical linear interpolation.

        (sin((1 - share) * w) * a + sin(share * w) * b) / sin(w),    w: the angle between a and b

    Where sin(w) is almost 0, the interpolation is linear. a, b: [n].

    Source: K. Shoemake, Animating Rotation with Quaternion Curves, SIGGRAPH 1985.
    """
    size = float(np.linalg.norm(a) * np.linalg.norm(b))
    w = acos(min(1.0, max(-1.0, float(a @ b) / size))) if size else 0.0
    if sin(w) < 1e-6:
        return (1 - share) * a + share * b
    return (sin((1 - share) * w) * a + sin(share * w) * b) / sin(w)

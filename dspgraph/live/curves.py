"""The values of controls, and the samples of sounds that are played into inputs, computed from their events.

Every value depends on the events and on its time only, not on the blocks in which it is computed.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from decimal import Decimal, localcontext
from fractions import Fraction
from typing import Any

import numpy as np

from dspgraph.errors import ParameterError
from dspgraph.live.events import Play, Set, time_of
from dspgraph.live.sounds import FileSound, Forward, ReadAhead
from dspgraph.streams import Array, Stream, to_fraction

SOUND_FADE = Fraction(1, 200)
"""Seconds in which a sound that is stopped or replaced fades out, and the one in its place fades in."""


@dataclass
class Curve:
    """The value of one control as a function of time.

    value: the value before the first event. moves: for each event, in order of time: its time in seconds, the value of
    the control at that time, and the event.
    """

    value: float
    moves: list[tuple[Fraction, float, Set]] = field(default_factory=list)  # (time, value at that time, event)

    def add(self, event: Set) -> None:
        """Add an event whose time is not before the time of any event that was added earlier.

        Raises ParameterError for a move with shape="exponential" whose first and last value are not both above 0 or
        both below.
        """
        at = time_of(event)
        before = self.at(at)
        if event.shape == "exponential" and not before * event.value > 0:
            raise ParameterError(
                f"the control '{event.name}' is {before:g} at {float(at):g} s and cannot go to {event.value:g} by "
                "equal ratios: both must be above 0, or both below; give shape='line'"
            )
        self.moves.append((at, before, event))

    def at(self, time: Fraction) -> float:
        """Return the value of the control at `time`, in seconds: not before a time that was given to `forget`."""
        for begin, before, event in reversed(self.moves):
            if begin <= time:
                return _value(before, event, time - begin)
        return self.value

    def forget(self, time: Fraction) -> None:
        """Drop the events that do not affect the value at `time` (seconds) or later."""
        while len(self.moves) > 1 and self.moves[1][0] <= time:
            del self.moves[0]


def _value(before: float, event: Set, since: Fraction) -> float:
    over, goal = to_fraction(event.over), float(event.value)
    if not over or (event.shape != "target" and since >= over):
        return goal
    share = since / over
    if event.shape == "line":
        return before + (goal - before) * float(share)
    if event.shape == "target":
        return goal + (before - goal) * _exp(-share)
    return before * _exp(share, goal / before)


def _exp(share: Fraction, ratio: float | None = None) -> float:
    """Return e**share, or ratio**share if a ratio is given, which must be above 0.

    The result is correctly rounded, so it is the same on every machine.
    """
    with localcontext(prec=30):
        exponent = Decimal(share.numerator) / Decimal(share.denominator)
        return float((exponent * Decimal(ratio).ln() if ratio is not None else exponent).exp())


@dataclass
class _Voice:
    """One sound that is played into an input.

    begin: the time of its first sample, in seconds. sound: its samples, [n] or [n, channels], or a file. loops: how
    often it is played; None: without end. fades: whether it fades in. end: the time in seconds at which its fade-out
    begins; None: there is no fade-out. skip: how many samples are left out at the beginning of the first pass. forward:
    gives the samples of a file; the constructor sets it.
    """

    begin: Fraction
    sound: Array | FileSound | ReadAhead
    loops: int | None
    fades: bool
    skip: int = 0
    end: Fraction | None = None
    forward: Forward | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.sound, np.ndarray):
            self.forward = Forward(self.sound.passes(self.loops, self.skip))

    def over(self, rate: Fraction) -> Fraction | None:
        """Return the time in seconds from which the sound is silent, because its last loop or its fade-out is over.

        None: it never ends. rate: the rate of the samples, in Hz.
        """
        ends = [] if self.loops is None else [self.begin + (self.loops * len(self.sound) - self.skip) / rate]
        ends += [] if self.end is None else [self.end + SOUND_FADE]
        return min(ends, default=None)

    def add_to(self, y: Array, first: int, rate: Fraction) -> None:
        """Add the sound to the block y, in place. first: the number of the first sample of y, from time 0 on.

        Blocks of a file must follow one another. rate: in Hz.
        """
        numbers = np.arange(first, first + len(y))
        place = numbers - math.ceil(self.begin * rate)
        inside = place >= 0
        if self.loops is not None:
            inside &= place < self.loops * len(self.sound) - self.skip
        level = np.ones(len(y))
        if self.fades:
            level *= _ramp(numbers, self.begin, rate)
        if self.end is not None:
            level *= 1 - _ramp(numbers, self.end, rate)
        if not inside.any():
            return
        sound = self._samples(place[inside])
        y[inside] += (sound * level[inside].reshape(-1, *[1] * (y.ndim - 1))).astype(y.dtype)

    def _samples(self, places: Array) -> Array:
        """Return the samples of the sound with the numbers `places`, [n], which follow one another; n > 0.

        The first sample that is played has the number 0; the numbers go on over all passes. The samples of a file can
        be had only once, in order: these are the next n, whatever their numbers.
        """
        if self.forward is not None:
            return self.forward.take(len(places))
        assert isinstance(self.sound, np.ndarray)
        found: Array = self.sound[(places + self.skip) % len(self.sound)]
        return found


def _ramp(numbers: Array, begin: Fraction, rate: Fraction) -> Array:
    """Return the level of a fade at each sample, [n]: 0 until `begin`, then linearly up to 1 within SOUND_FADE seconds.

    numbers: [n], the numbers of the samples, from time 0 on. begin: in seconds. rate: in Hz.
    """
    first = math.floor(begin * rate)
    since = (numbers - first).astype(np.float64) - float(begin * rate - first)
    return np.clip(since / float(SOUND_FADE * rate), 0.0, 1.0)


@dataclass
class Player:
    """All sounds that are played into one input of a graph.

    stream: the stream of this input. voices: the sounds that are being played. over: the times in seconds at which
    sounds have ended; `ended` returns them and empties the list.
    """

    stream: Stream
    voices: list[_Voice] = field(default_factory=list)
    over: list[Fraction] = field(default_factory=list)

    def checked(self, event: Play) -> Play:
        """Return a copy of the event, whose sound is a file or an array that the input takes.

        Raises SignalError for samples of a wrong shape, type or value, and ParameterError for a file that was opened
        for another stream, for a sound without samples, and for a `skip` that leaves no samples.
        """
        sound = event.sound
        if isinstance(sound, FileSound) and sound.stream != self.stream:
            raise ParameterError(f"Play: '{event.input}' is {self.stream}; found a file for {sound.stream}")
        if not isinstance(sound, FileSound | ReadAhead):
            sound = self.stream.validate(sound, event.input)
        if not len(sound):
            raise ParameterError(f"Play: the sound for '{event.input}' has no samples")
        if event.skip >= len(sound):
            raise ParameterError(
                f"Play: the sound for '{event.input}' has {len(sound)} samples, of which {event.skip} cannot be skipped"
            )
        return replace(event, sound=sound)

    def play(self, event: Play) -> None:
        """Begin the sound of an event at the event's time.

        A sound that is already playing begins to fade out at that time, and the new one fades in. event: the result of
        `checked`, with a time. Call `play` and `stop` in the order of the times.
        """
        at = time_of(event)
        self.voices.append(_Voice(at, event.sound, event.loops, self.stop(at), event.skip))

    def stop(self, at: Fraction) -> bool:
        """Let the sounds that are playing, and do not fade out yet, fade out from the time `at` on, in seconds.

        Return whether there was such a sound.
        """
        left = [voice for voice in self.voices if voice.end is None and (voice.over(self.stream.rate) or at + 1) > at]
        for voice in left:
            voice.end = at
        return bool(left)

    def samples(self, first: int, count: int) -> Array:
        """Return the sum of all sounds: [count] or [count, channels].

        first: the number of the first sample, from time 0 on. Sounds that are over before this sample are forgotten, so
        the blocks must be asked for in the order of time.
        """
        self._forget(self.stream.seconds(first))
        y: Array = np.zeros((count, *self.stream.item_shape), self.stream.dtype)
        for voice in self.voices:
            voice.add_to(y, first, self.stream.rate)
        return y

    def ended(self, time: Fraction) -> list[Fraction]:
        """Return the times in seconds, up to `time`, at which sounds have ended. A later call leaves them out.

        A sound ends with its last loop, or with its fade-out.
        """
        self._forget(time)
        found, self.over = self.over, []
        return found

    def _forget(self, time: Fraction) -> None:
        """Drop the sounds that are over at `time`, and keep the times at which they ended."""
        ends = [(voice.over(self.stream.rate), voice) for voice in self.voices]
        self.over += [end for end, _ in ends if end is not None and end <= time]
        self.voices = [voice for end, voice in ends if end is None or end > time]


def control_items(curve: Curve, stream: Stream, first: int, count: int) -> Array:
    """Return `count` items of a control input, [count, 1]: the curve at the beginning of each item's span.

    first: the number of the first item. stream: the stream of the input.
    """
    values: list[Any] = [[curve.at(stream.seconds(first + k))] for k in range(count)]
    return np.array(values, stream.dtype).reshape(count, 1)

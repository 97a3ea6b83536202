"""Streams: descriptions of the arrays that travel on the wires of a graph. The first axis of an array is time.

Item `k` of a stream covers the seconds `[k / rate, (k + 1) / rate)`. Rates and times are exact fractions, so that
rounding errors do not add up in a long signal.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, fields, replace
from fractions import Fraction
from inspect import signature
from typing import TYPE_CHECKING, Any, Self, TypeAlias

import numpy as np
from numpy.typing import NDArray

from dspgraph.errors import ParameterError, SignalError
from dspgraph.shown import shortened, shown

Array: TypeAlias = NDArray[Any]
Number: TypeAlias = Fraction | int | float | str

_FLOATS = ("float32", "float64")
_COMPLEX = ("complex64", "complex128")


_NUMBER = re.compile(r"[+-]?(\d{1,40}(\.\d{0,40})?|\.\d{1,40})([eE][+-]?\d{1,2})?(/\d{1,40})?", re.ASCII)


def to_fraction(value: Number) -> Fraction:
    """Return the fraction that the printed form of a number stands for: 1/100 for 0.01, 14700 for "44100/3".

    Raises ParameterError for a boolean, NaN, infinity, a text that is no number, and a text with more than 40 digits in
    a row or an exponent of three digits: the fraction 1e999999999 has too many digits to compute with.
    """
    try:
        if isinstance(value, float | np.floating):
            return Fraction(str(value))
        if not isinstance(value, bool) and (not isinstance(value, str) or _NUMBER.fullmatch(value)):
            return Fraction(value)
    except (ValueError, ZeroDivisionError, TypeError):
        pass
    raise ParameterError(f"{shown(value)} is not a number such as 16000, 0.01 or '44100/160'")


def gcd(a: Fraction, b: Fraction) -> Fraction:
    """Return the greatest common divisor of two fractions: the largest number of which both are whole multiples."""
    return Fraction(math.gcd(a.numerator * b.denominator, b.numerator * a.denominator), a.denominator * b.denominator)


@dataclass(frozen=True)
class Stream:
    """The base class of all streams. rate: items per second."""

    rate: Fraction

    if TYPE_CHECKING:  # for type checkers: each class below defines its own

        @property
        def dtype(self) -> np.dtype[Any]:
            """The dtype of the array."""

        def at_precision(self, dtype: Any) -> Self:
            """Return this stream at another precision. dtype: float32 or float64.

            Complex rows become complex64 for float32, and complex128 for float64.
            """

    @property
    def item_shape(self) -> tuple[int, ...]:
        """The shape of one item: () for mono audio, (width,) for frames."""
        return ()

    def like(self, **changes: Any) -> Self:
        """Return a copy of this stream with some fields changed: `stream.like(rate=8000)`."""
        return replace(self, **changes)

    def count(self, seconds: Fraction) -> int:
        """Return the number of items in a signal that lasts `seconds`: ceil(seconds * rate).

        A last item of which only a part lies in the signal counts too.
        """
        return math.ceil(seconds * self.rate)

    def seconds(self, items: int) -> Fraction:
        """Return the length of `items` items, in seconds."""
        return items / self.rate

    def times(self, items: int) -> Array:
        """Return the times of the first `items` items in seconds: [items], float64.

        The time of item k is k / rate + centre: for frames the centre of the window; for all other streams, whose
        `centre` is 0, the start of the item.
        """
        step, centre = 1 / self.rate, getattr(self, "centre", Fraction(0))
        whole = math.lcm(step.denominator, centre.denominator)  # all times are whole multiples of 1 / whole
        first, rise = int(centre * whole), int(step * whole)
        if max(whole, abs(first) + rise * items) < 2**53:  # exact as floats, so that one division rounds
            times: Array = (np.arange(items) * rise + first) / whole
            return times
        return np.array([float(k * step + centre) for k in range(items)])

    def empty(self) -> Array:
        """Return an array of this stream's dtype and shape with 0 items."""
        return np.empty((0, *self.item_shape), self.dtype)

    def validate(self, array: Any, where: str, copy: bool = True) -> Array:
        """Return the items in `array` as a contiguous array with the dtype of this stream, after checking them.

        array: items of this stream. Floats of another precision and integers of another width are converted, and real
        numbers to complex ones. where: the name of the input, for messages. copy: with True the result is always a
        copy; with False it is `array` itself if nothing has to be converted.

        Raises SignalError for a wrong shape, for NaN and infinity, and for conversions that could lose information:
        integers to audio (their full scale is unknown) or to frames, complex numbers to real ones, floats to symbols.
        """
        found = np.asarray(array)
        if found.dtype != self.dtype and found.dtype.kind not in self._accepted_kinds():
            raise SignalError(f"{where} takes {self}, an array of {self.dtype}; found {found.dtype}: convert it first")
        if found.shape[1:] != self.item_shape or found.ndim == 0:
            expected = ", ".join(["n", *map(str, self.item_shape)])
            raise SignalError(f"{where} takes {self}, an array [{expected}]; found the shape {list(found.shape)}")
        carried: Array = np.array(found, dtype=self.dtype, order="C", copy=copy or None)
        if self.dtype.kind != "i" and (at := first_bad_item(carried)) is not None:
            raise SignalError(
                f"{where} takes finite numbers; item {at} is {shown(found[at].tolist())}: repair or cut the recording"
            )
        return carried

    def _accepted_kinds(self) -> str:
        return "fc" if self.dtype.kind == "c" else "f"

    def _set(self, rate: Number, **fields: Any) -> None:
        if not 2**-64 <= to_fraction(rate) < 2**64:
            found = str(rate) if isinstance(rate, Fraction) else shown(rate)
            raise ParameterError(f"a stream has a rate above 0 Hz and below 2**64 Hz; found {shortened(found, 80)}")
        for name, value in {"rate": to_fraction(rate), **fields}.items():
            object.__setattr__(self, name, value)  # the class is frozen: a plain assignment raises


def _whole(rule: str, found: Any, most: int) -> None:
    if isinstance(found, bool) or not isinstance(found, int) or not 1 <= found <= most:
        limit = "at least 1" if not isinstance(found, int) or found < 1 else f"at most {most}"
        raise ParameterError(f"{rule}, {limit}; found {shown(found)}")


def _float_dtype(value: Any, allowed: tuple[str, ...]) -> np.dtype[Any]:
    # numpy parses a text as a list of types. A text that comes from a file is compared with the names alone.
    name = value if isinstance(value, str) else np.dtype(value).name
    if name not in allowed:
        raise ParameterError(f"a stream cannot have the dtype {shown(value)}; there are: {', '.join(allowed)}")
    return np.dtype(name)


@dataclass(frozen=True, init=False)
class Audio(Stream):
    """Samples, full scale +-1: an array [n], or [n, channels] if there is more than one channel.

    rate: samples per second and channel. channels: 1 or more. dtype: float32 or float64. Raises ParameterError for
    values out of bounds.
    """

    channels: int
    dtype: np.dtype[Any]

    def __init__(self, rate: Number, channels: int = 1, dtype: Any = np.float64) -> None:
        _whole("audio has a whole number of channels", channels, 2**16)
        self._set(rate, channels=channels, dtype=_float_dtype(dtype, _FLOATS))

    @property
    def item_shape(self) -> tuple[int, ...]:
        """The shape of one item: () for mono, (channels,) otherwise."""
        return (self.channels,) if self.channels > 1 else ()

    def at_precision(self, dtype: Any) -> Self:
        """Return this stream with the samples in another dtype, float32 or float64."""
        return self.like(dtype=dtype)

    def __str__(self) -> str:
        many = f", {self.channels} channels" if self.channels > 1 else ""
        return f"Audio({hertz(self.rate)}{many})"


@dataclass(frozen=True, init=False)
class Frames(Stream):
    """Rows of numbers, an array [n, width].

    rate: rows per second. kind: what a row is ("wave", "lpc", "f0" ...). width: numbers per row. centre: the time from
    the start of an item's span to the centre of the window from which its row was computed, in seconds. dtype: float32,
    float64, complex64 or complex128. Raises ParameterError for values out of bounds.
    """

    kind: str
    width: int
    centre: Fraction
    dtype: np.dtype[Any]

    def __init__(self, rate: Number, kind: str, width: int, centre: Number = 0, dtype: Any = np.float64) -> None:
        _whole("frames have a whole number as their width", width, 2**16)
        exact = to_fraction(centre)
        if abs(exact) >= 2**32:
            raise ParameterError(f"frames have a centre of less than 2**32 s; found {shown(centre)}")
        self._set(rate, kind=kind, width=width, centre=exact, dtype=_float_dtype(dtype, _FLOATS + _COMPLEX))

    @property
    def item_shape(self) -> tuple[int, ...]:
        """The shape of one item: (width,), also for width 1."""
        return (self.width,)

    def at_precision(self, dtype: Any) -> Self:
        """Return this stream at another precision. dtype: float32 or float64; complex rows stay complex."""
        return self.like(dtype=np.result_type(dtype, np.complex64) if self.dtype.kind == "c" else dtype)

    def __str__(self) -> str:
        centre = f", centre {milliseconds(self.centre)}" if self.centre else ""
        return f"Frames({shown(self.kind)}, {self.width} wide, {hertz(self.rate)}{centre})"


@dataclass(frozen=True, init=False)
class Symbols(Stream):
    """Integers from 0 to size - 1, an array [n] of int64: mu-law codes, halves of 16-bit samples, phones.

    rate: symbols per second. kind: what the symbols are ("mulaw", "phone" ...). size: the number of different symbols.
    precision: the dtype of the samples from which the symbols were made, and of samples that are decoded from them.
    Raises ParameterError for values out of bounds.
    """

    kind: str
    size: int
    precision: np.dtype[Any]

    def __init__(self, rate: Number, kind: str, size: int, precision: Any = np.float64) -> None:
        _whole("symbols have a whole number as their size", size, 2**63)
        self._set(rate, kind=kind, size=size, precision=_float_dtype(precision, _FLOATS))

    def at_precision(self, dtype: Any) -> Self:
        """Return this stream with another `precision`, float32 or float64. The symbols stay int64."""
        return self.like(precision=dtype)

    @property
    def dtype(self) -> np.dtype[Any]:
        """The dtype of the array: int64, for any size."""
        return np.dtype(np.int64)

    def validate(self, array: Any, where: str, copy: bool = True) -> Array:
        """Return an array as `Stream.validate` does. Raises SignalError also for integers that are out of range."""
        codes = super().validate(array, where, copy)
        if codes.size and not (codes.min() >= 0 and codes.max() < self.size):
            at = int(np.argmax((codes < 0) | (codes >= self.size)))
            raise SignalError(f"{where} takes {self}, integers from 0 to {self.size - 1}; item {at} is {codes[at]}")
        return codes

    def _accepted_kinds(self) -> str:
        return "iu"

    def __str__(self) -> str:
        return f"Symbols({shown(self.kind)}, {self.size} levels, {hertz(self.rate)})"


def first_bad_item(array: Array) -> int | None:
    """Return the index of the first item that contains NaN or infinity; None if there is no such item."""
    finite = np.isfinite(array)
    if np.logical_and.reduce(finite, axis=None):
        return None
    return int(np.argmin(finite.reshape(len(array), -1).all(axis=1)))


def stream_to_dict(stream: Stream) -> dict[str, Any]:
    """Return the class of a stream, as "stream", and its fields, each under its name, for digests and files.

    Fractions and dtypes become texts, so that the result can be written as JSON.
    """
    values = {one.name: getattr(stream, one.name) for one in fields(stream)}
    return {"stream": type(stream).__name__} | {
        name: value if isinstance(value, str | int) else str(value) for name, value in values.items()
    }


def stream_from_dict(data: dict[str, Any]) -> Stream:
    """Return the stream that `stream_to_dict` described by `data`. Fields that have a default may be missing.

    Raises ParameterError for data that describe no stream.
    """
    try:
        return _stream_of_fields(data)
    except (LookupError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise ParameterError(f"{shown(data)} is not a stream: {error}") from None


def _stream_of_fields(data: Any) -> Stream:
    if not isinstance(data, dict) or not all(isinstance(value, str | int | float) for value in data.values()):
        raise TypeError("the fields of a stream are texts and numbers")
    kind = _CLASSES.get(data.get("stream"))
    if kind is None:
        raise TypeError(f"'stream' must be one of {', '.join(_CLASSES)}; found {shown(data.get('stream'))}")
    given, known = data.keys() - {"stream"}, signature(kind).parameters
    needed = {name for name, one in known.items() if one.default is one.empty}
    if wrong := sorted(given - known.keys() | needed - given):
        raise TypeError(f"{kind.__name__} has the fields {', '.join(known)}; missing or unknown: {shown(wrong)}")
    return kind(**{name: data[name] for name in given})


_CLASSES: dict[Any, type[Stream]] = {one.__name__: one for one in (Audio, Frames, Symbols)}


def hertz(rate: Fraction) -> str:
    """Return a rate as text: "16000 Hz", "137.8125 Hz"; "400/3 Hz" if ten significant digits are not exact."""
    return f"{_digits(rate)} Hz"


def milliseconds(seconds: Fraction | float) -> str:
    """Return a time in ms as text, at most four significant digits: "10 ms"; "the whole signal" for infinity."""
    return "the whole signal" if seconds == math.inf else f"{float(seconds) * 1000:.4g} ms"


def _digits(value: Fraction) -> str:
    text = f"{float(value):.10g}"
    return text if Fraction(text) == value else str(value)

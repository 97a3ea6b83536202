"""Convolution with an impulse response from a file."""

import os
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache

import numpy as np

from dspgraph import Array, Audio, Field, File, Input, Node, Output, ParameterError, State
from dspgraph_nodes._kernels.arrays import floating

_MOST_SAMPLES = 1 << 23  # largest number of samples of the impulse response, in all channels: 64 MiB in float64


@dataclass
class ConvolutionState:
    """The state of a convolution.

    response: the spectra of the parts of the impulse response. spectra: the spectra of the last blocks of the input,
    each joined to the block before it, newest first. before: the last block of the input. dtype: that of the results.
    length: the number of samples of the whole impulse response. left: the results of the last block that lie after the
    end of the input, if that block was shorter than the others.
    """

    response: Array  # [parts, channels, block + 1]: spectra of the parts of the impulse response
    spectra: Array  # [parts, channels, block + 1]
    before: Array  # [channels, block]
    dtype: np.dtype[np.floating]
    length: int
    left: Array  # [left, channels]


def convolve(x: Array, response: Array, block: int = 4096) -> Array:
    """Return the first len(x) samples of the convolution of every channel of x with an impulse response.

    x: [n] or [n, channels], n >= 1; response: [m] for all channels, or [m, channels], m >= 1; block: samples that are
    transformed together. The result has the shape and dtype of x (float32 for int16), computed in float64.
    """
    x = floating(x)
    held = convolution_start(response, block, x.shape[1] if x.ndim == 2 else 1, x.dtype)
    pieces = [convolved(held, x[at : at + block]) for at in range(0, len(x), block)]
    return np.concatenate(pieces)


def convolution_start(response: Array, block: int, channels: int, dtype: np.dtype[np.floating]) -> ConvolutionState:
    """Return the state of a convolution before the first block of the input.

    response: the impulse response, [m] or [m, 1] for all channels, or [m, channels], m >= 1; block: samples in a block;
    channels: the number of channels of the input; dtype: the dtype of the results.
    """
    from scipy.fft import rfft

    parts = -(-len(response) // block)
    padded = np.zeros((parts * block, channels))
    padded[: len(response)] = response.reshape(len(response), -1)
    spectra: Array = rfft(padded.reshape(parts, block, channels).transpose(0, 2, 1), 2 * block, axis=-1)
    zeros = np.zeros((channels, block))
    return ConvolutionState(spectra, np.zeros_like(spectra), zeros, dtype, len(response), np.zeros((0, channels)))


def convolved(held: ConvolutionState, x: Array) -> Array:
    """Return the next samples of the convolution, in the shape of x and the dtype of the state.

    held: the state, updated in place; x: the next block of the input, [block] or [block, channels]; only the last block
    of the signal may be shorter.
    """
    from scipy.fft import irfft, rfft

    channels, block = held.before.shape
    now = np.zeros((channels, block))
    now[:, : len(x)] = x.reshape(len(x), channels).T
    held.spectra[1:] = held.spectra[:-1].copy()
    held.spectra[0] = rfft(np.concatenate((held.before, now), axis=1), axis=-1)
    held.before = now
    total = held.response[0] * held.spectra[0]
    for own, spectrum in zip(held.response[1:], held.spectra[1:], strict=True):
        total += own * spectrum
    whole = irfft(total, 2 * block, axis=-1)[:, block:].T
    held.left = whole[len(x) :].copy()
    y: Array = whole[: len(x)].reshape(x.shape).astype(held.dtype)
    return y


def convolution_tail(held: ConvolutionState, shape: tuple[int, ...]) -> Array:
    """Return the m - 1 output samples after the end of the input, for an impulse response of m samples.

    held: the state, updated in place; shape: the shape of one sample of the result, () or (channels,).
    """
    channels, block = held.before.shape
    count, pieces = held.length - 1, [held.left]
    silence = np.zeros((block, channels))
    while sum(map(len, pieces)) < count:
        pieces.append(convolved(held, silence))
    y: Array = np.concatenate(pieces)[:count].reshape(count, *shape).astype(held.dtype)
    return y


class Convolve(Node):
    """Convolve audio with the impulse response in a file: the reverberation of a room, a loudspeaker, a long filter.

        y[n] = gain * sum_k h[k] * x[n - k]

    The response is cut into parts of `block` samples, and each part is applied in the frequency domain (uniformly
    partitioned overlap-save), so that a long response costs little. Samples come out in blocks of `block`. A file with
    one channel is used for every channel of x. Without a `tail` the output ends with the input.

    Source: W. G. Gardner, Efficient convolution without input-output delay, Journal of the Audio Engineering Society
    43(3), 1995; A. V. Oppenheim and R. W. Schafer, Discrete-Time Signal Processing, 3rd edition, Prentice Hall, 2010
    (chapter 8, overlap-save).
    """

    x = Input(Audio)
    y = Output(Audio)

    response: File = Field(description="impulse response, an audio file")
    gain: float = Field(1.0, ge=-1e6, le=1e6, description="factor of the output")
    block: int = Field(4096, ge=16, le=1 << 18, description="samples in a block")
    tail: bool = Field(False, description="let the output last longer, until the response to the last sample ends")

    def streams(self, x: Audio) -> tuple[Audio]:
        samples, rate = read_response(self.response)
        if rate != x.rate:
            raise ParameterError(
                f"convolve.response has {rate} samples per second, and x is {x}: put a 'resample' before it, or "
                "convert the file"
            )
        if samples.shape[1] not in (1, x.channels):
            raise ParameterError(
                f"convolve.response has {samples.shape[1]} channels, and x is {x}: take a file with 1 or {x.channels}"
            )
        return (x,)

    def extra(self, x: Audio) -> Fraction:
        return (len(read_response(self.response)[0]) - 1) / x.rate if self.tail else Fraction(0)

    def block_size(self, x: Audio) -> int:
        return self.block

    def start(self, x: Audio) -> State:
        response = read_response(self.response)[0] * self.gain
        return convolution_start(response, self.block, x.channels, x.dtype), x.item_shape

    def step(self, state: State, x: Array) -> tuple[State, Array]:
        return state, convolved(state[0], x)

    def flush(self, state: State) -> tuple[Array, ...]:
        return (convolution_tail(*state),) if self.tail else ()


def read_response(path: str) -> tuple[Array, int]:
    """Return the samples of a file, [m, channels] float64, read-only, and its rate, Hz.

    Raises ParameterError, in the name of `convolve.response`, if the file cannot be read, has no samples or more than
    2**23 in all channels, or a sample that is not finite.
    """
    try:
        found = os.stat(path)
        samples, rate = _read(path, found.st_size, found.st_mtime_ns)
    except (OSError, RuntimeError) as error:
        raise ParameterError(f"convolve.response: {path} cannot be read as audio: {error}") from None
    if not 0 < samples.size <= _MOST_SAMPLES or not np.isfinite(samples).all():
        raise ParameterError(
            f"convolve.response: {path} has {samples.size} samples, or some that are not finite; it must have 1 to "
            f"{_MOST_SAMPLES}, all finite"
        )
    return samples, rate


@lru_cache(maxsize=2)
def _read(path: str, size: int, time: int) -> tuple[Array, int]:
    """Return the samples [m, channels] and the rate of a file, from a cache if the file has not changed.

    size, time: the size of the file, bytes, and the time of its last change, ns: parts of the key of the cache.
    """
    import soundfile

    samples, rate = soundfile.read(path, dtype="float64", always_2d=True)
    samples.setflags(write=False)
    return samples, int(rate)

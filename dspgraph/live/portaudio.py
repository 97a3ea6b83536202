"""The sound devices of the system, through PortAudio. The module sounddevice is imported when it is first needed."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np

from dspgraph.errors import LiveError, suggest
from dspgraph.live.device import OUT, DeviceFormat, DeviceRequest, SecondFormat
from dspgraph.live.engine import Engine
from dspgraph.live.exchange import Exchange
from dspgraph.live.running import EngineThread
from dspgraph.streams import hertz, to_fraction

DEFAULT = "default"

NO_DEVICE = "there is no sound device: connect one, or work without one (`dspgraph render`)"

_CHECK = 0.1
"""Seconds between two looks at whether the device still runs."""

_PATIENCE = 2.0
"""Seconds after which a device that asks for nothing counts as lost."""

_ONE_CLOCK = ("JACK Audio Connection Kit",)
"""Interfaces whose devices all have the clock of their server."""

_WARM = 0.5
"""Seconds in which a recording device with a clock of its own runs before the other one starts."""

_STREAM: Mapping[str, Any] = {"dtype": "float32", "latency": "low", "clip_off": True, "dither_off": True}
"""Settings of every stream of PortAudio."""

_MOST_LOST = 10
"""Seconds: a jump of the device's clock by more is no loss of samples."""


@dataclass(frozen=True)
class Found:
    """A sound device of the system.

    number: its number in PortAudio. api: the name of the system's interface, such as ALSA. inputs, outputs: numbers of
    channels. rate: its default rate, Hz. latency: the latency in seconds that the device reports for its output, or for
    its input if it has no output.
    """

    number: int
    name: str
    api: str
    inputs: int
    outputs: int
    rate: float
    latency: float


def list_devices() -> list[Found]:
    """Return the devices of the system. Raises LiveError if sounddevice or PortAudio is not installed."""
    sd = _sounddevice()
    apis = [api["name"] for api in sd.query_hostapis()]
    return [
        Found(
            int(one["index"]), str(one["name"]), apis[one["hostapi"]], one["max_input_channels"],
            one["max_output_channels"], one["default_samplerate"],
            one["default_low_output_latency" if one["max_output_channels"] else "default_low_input_latency"],
        )
        for one in sd.query_devices()
    ]  # fmt: skip


def find_device(name: str, output: bool) -> Found:
    """Return the device with a name, a part of a name, or a number as text; for "default", the default device.

    A number or an exact name goes before a part of a name; of several devices with this exact name, the first is taken.
    In a part of a name, case is ignored. If the default device does not fit, "default" is the first device that does.

    output: whether the device must play; otherwise it must record. Raises LiveError if no device fits, if the part of a
    name fits several, and in the cases of `list_devices`.
    """
    there = list_devices()
    fits = [one for one in there if (one.outputs if output else one.inputs)]
    what = "plays" if output else "records"
    if not fits:
        raise LiveError(NO_DEVICE if not there else f"no sound device {what}: `dspgraph devices` lists those there are")
    if name == DEFAULT:
        number = _sounddevice().default.device[1 if output else 0]
        return next((one for one in fits if one.number == number), fits[0])
    exact = [one for one in fits if name in (str(one.number), one.name)]
    part = [one for one in fits if name.lower() in one.name.lower()]
    found = exact[:1] or part
    if len(found) != 1:
        several = ", ".join(f"{one.number} {one.name} ({one.api})" for one in found)
        raise LiveError(
            f"several devices are called '{name}': {several}: give the number" if found
            else f"no device that {what} is called '{name}'; {suggest(name, [one.name for one in fits])}"
        )  # fmt: skip
    return found[0]


class PortAudio:
    """A device that plays and a device that records, or only one of the two.

    One device that does both, and two devices with one clock (those of JACK), are opened as one stream. Two devices
    with two clocks are opened as two streams: the device that plays determines the time, and the samples of the other
    device are resampled (see `SecondClock`). Call `open`, then `run`.
    """

    def __init__(self) -> None:
        self._input: Found | None = None
        self._output: Found | None = None
        self._inputs = self._outputs = 0  # numbers of channels

    def open(self, request: DeviceRequest) -> DeviceFormat:
        """Find the devices that a request names, and return the format in which they run.

        The devices do not run yet. The rate is that of the request if the devices take it, otherwise the default rate
        of the device that plays, or else of the one that records. If there are two clocks, it is the rate of the device
        that plays, and `second` has that of the other one. Raises LiveError if a device is missing, if a name fits
        several devices, if several devices would record or several play, or if no rate fits, and ParameterError for
        channels that a device does not have.
        """
        ports = request.ports.items()
        self._input = _one(find_device(port.device, output=False) for name, port in ports if not name.startswith(OUT))
        self._output = _one(find_device(port.device, output=True) for name, port in ports if name.startswith(OUT))
        self._inputs = self._channels(request, output=False)
        self._outputs = self._channels(request, output=True)
        columns = request.columns(
            self._input.inputs if self._input else 0, min(self._outputs, self._output.outputs) if self._output else 0
        )
        about = " -> ".join(f"{one.name} ({one.api})" for one in (self._input, self._output) if one)
        two = self._two_clocks()
        rate = self._rate(request.rate, None if two else self._input, self._output)
        second = SecondFormat(self._rate(rate, self._input, None), self._inputs) if two else None
        samples = max(1, round(request.quantum * rate))
        clocks = ", two clocks" if two else ""
        return DeviceFormat(rate, samples, self._outputs, columns, f"{about}, {hertz(rate)}{clocks}", second)

    def _two_clocks(self) -> bool:
        """Return whether one device records and another one plays, with clocks of their own.

        All devices have clocks of their own, except those of JACK (see `_ONE_CLOCK`).
        """
        if not (self._input and self._output) or self._input == self._output:
            return False
        return not (self._input.api == self._output.api and self._input.api in _ONE_CLOCK)

    def _channels(self, request: DeviceRequest, output: bool) -> int:
        """Return how many channels of the device that plays must be opened for a request, from the first one on.

        output: False for the device that records. Return 0 if there is no such device. Raises ParameterError for
        channels that the device does not have.
        """
        found = self._output if output else self._input
        if found is None:
            return 0
        most = 0
        for name, port in request.ports.items():
            if name.startswith(OUT) == output:
                channels = found.outputs if output else found.inputs
                most = max(most, 1 + max(port.columns(request.streams[name].channels, channels, output)))
        return most

    def _rate(self, wanted: Fraction, found: Found | None, output: Found | None) -> Fraction:
        """Return `wanted` if the devices can run at this rate, otherwise the default rate of one of them, in Hz.

        The default rate of `output` is tried before that of `found`. found: the device that records; output: the device
        that plays; None: there is none. Raises LiveError if they cannot both run at one of these rates.
        """
        sd = _sounddevice()
        rates = [wanted, *(to_fraction(one.rate) for one in (output, found) if one)]
        refusal = ""
        for rate in rates:
            try:
                if found:
                    sd.check_input_settings(found.number, self._inputs, "float32", None, float(rate))
                if output:
                    sd.check_output_settings(output.number, self._outputs, "float32", None, float(rate))
            except (sd.PortAudioError, ValueError) as error:
                refusal = refusal or str(error)
            else:
                return rate
        raise LiveError(f"the device takes neither {' nor '.join(hertz(rate) for rate in rates)}: {refusal}")

    def run(self, engine: Engine, stop: threading.Event) -> None:
        """Run the device and the engine until `stop` is set. `open` must have found the devices before.

        The engine computes in a thread of its own, which has ended when this function returns. Raises LiveError if a
        device cannot be used, ends by itself, or is lost (see `_watch`).
        """
        sd = _sounddevice()
        form, exchange, ended = engine.form, engine.exchange, threading.Event()
        clock = _Clock(form.rate)
        nothing = np.zeros((form.samples, 0), np.float32)

        def both(heard: Any, played: Any, frames: int, now: Any, status: Any) -> None:
            lost = clock.lost(now.inputBufferAdcTime, frames, status.input_overflow)
            played[:] = exchange.swap(heard.copy(), lost)

        def only_played(played: Any, frames: int, now: Any, status: Any) -> None:
            played[:] = exchange.swap(nothing, 0, time.perf_counter())

        def only_heard(heard: Any, frames: int, now: Any, status: Any) -> None:
            exchange.swap(heard.copy(), clock.lost(now.inputBufferAdcTime, frames, status.input_overflow))

        given: dict[str, Any] = {
            "samplerate": float(form.rate), "blocksize": form.samples, "finished_callback": ended.set, **_STREAM
        }  # fmt: skip
        thread = EngineThread(engine, realtime=True)
        thread.start()
        try:
            second = self._hear(engine, ended)
            if self._input and self._output and second is None:
                devices, channels = (self._input.number, self._output.number), (self._inputs, form.outputs)
                stream = sd.Stream(device=devices, channels=channels, callback=both, **given)
            elif self._output:
                stream = sd.OutputStream(
                    device=self._output.number, channels=form.outputs, callback=only_played, **given
                )
            else:
                assert self._input is not None
                stream = sd.InputStream(device=self._input.number, channels=self._inputs, callback=only_heard, **given)
            stream.start()
            engine.report("running", form)
            self._watch(exchange, stop, ended)
            stream.close()
            if second is not None:
                second.close()
        except sd.PortAudioError as error:
            raise LiveError(f"the device cannot be used ({form.about}): {error}") from None
        finally:
            exchange.end()
            thread.join()

    def _hear(self, engine: Engine, ended: threading.Event) -> Any:
        """Start the stream of a recording device with a clock of its own, and return it; None without such a device.

        The stream runs for a while before the function returns, so that the longest time between two of its blocks is
        known. ended: set when the stream ends.
        """
        form, exchange = engine.form.second, engine.exchange
        if form is None:
            return None
        assert self._input is not None
        clock, samples = _Clock(form.rate), round(engine.form.samples * form.rate / engine.form.rate)

        def heard(block: Any, frames: int, now: Any, status: Any) -> None:
            lost = clock.lost(now.inputBufferAdcTime, frames, status.input_overflow)
            exchange.hear(block.copy(), time.perf_counter(), lost)

        stream = _sounddevice().InputStream(
            device=self._input.number, channels=form.channels, callback=heard, samplerate=float(form.rate),
            blocksize=max(1, samples), finished_callback=ended.set, **_STREAM,
        )  # fmt: skip
        stream.start()
        time.sleep(_WARM)
        return stream

    def _watch(self, exchange: Exchange, stop: threading.Event, ended: threading.Event) -> None:
        """Wait until `stop` is set. Raises LiveError if a device ends, or does nothing for 2 s.

        A device does nothing if it asks for no samples or, if it has a clock of its own and records, delivers none:
        PortAudio does not always say that a device has gone. The caller leaves the stream of such a device open,
        because the call that closes it might never return. ended: set when a stream ends.
        """
        counts, since = [-1, -1], [time.monotonic()] * 2
        while not stop.wait(_CHECK):
            now, found = time.monotonic(), [exchange.number, exchange.heard if exchange.second else -2]
            since = [now if new != old or new == -2 else at for new, old, at in zip(found, counts, since, strict=True)]
            counts = found
            if ended.is_set() or now > min(since) + _PATIENCE:
                raise LiveError("the device was lost: is it still connected?")


class _Clock:
    """The times of recorded blocks, from which the number of lost samples is computed. rate: of the device, Hz.

    Call `lost` for every block, in order.
    """

    def __init__(self, rate: Fraction) -> None:
        self._rate = float(rate)
        self._expected: float | None = None

    def lost(self, now: float, frames: int, overflow: bool) -> int:
        """Return how many samples were lost before a block.

        now: the time of the first sample of the block, in seconds. frames: its number of samples. overflow: whether
        PortAudio says that samples were lost. PortAudio does not say how many. The number follows from the time since
        the end of the last block, rounded to whole blocks, because only whole blocks are lost. It is 0 without
        `overflow`, for the first block, and if this time is negative or longer than 10 s.
        """
        expected, self._expected = self._expected, now + frames / self._rate
        if not overflow or expected is None:
            return 0
        samples = round((now - expected) * self._rate / frames) * frames
        return samples if 0 < samples <= _MOST_LOST * self._rate else 0


def _one(found: Iterable[Found]) -> Found | None:
    """Return the only device in `found`, where it may be repeated; None if `found` is empty.

    Raises LiveError if there are several devices.
    """
    there = list(dict.fromkeys(found))
    if len(there) > 1:
        names = ", ".join(one.name for one in there)
        raise LiveError(
            f"a graph takes one device that records, and one that plays; found {names}: take channels of one device, "
            "as in NAME:2"
        )
    return there[0] if there else None


def _sounddevice() -> Any:
    """Return the module sounddevice. Raises LiveError if it, or PortAudio, is not installed."""
    try:
        import sounddevice
    except ImportError:
        raise LiveError("sound devices need the package sounddevice: pip install 'dspgraph[live]'") from None
    except OSError as error:  # the library is missing, or its host refuses to start
        raise LiveError(
            f"sound devices need the library PortAudio ({error}): on Debian or Ubuntu, apt install libportaudio2"
        ) from None
    return sounddevice

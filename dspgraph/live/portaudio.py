"""The sound devices of the system, through PortAudio. The module sounddevice is imported when it is first needed."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np

from dspgraph.errors import LiveError, suggest
from dspgraph.live.device import OUT, DeviceFormat, DeviceRequest
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

_MOST_LOST = 10
"""Seconds: a jump of the device's clock by more is no loss of samples."""


@dataclass(frozen=True)
class Found:
    """A sound device of the system.

    number: its number in PortAudio. api: the name of the system's interface, such as ALSA. inputs, outputs: numbers of
    channels. rate: its default rate, Hz. latency: of its output, or of its input if it has no output, as it reports it,
    in seconds.
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
    """Return the device with a name, a part of a name, or a number, or the default device for "default".

    output: whether it must play; otherwise it must record. Raises LiveError if no device fits, or several.
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
    """A device that plays and one that records, or one of both, opened as one stream with one clock."""

    def __init__(self) -> None:
        self._input: Found | None = None
        self._output: Found | None = None
        self._inputs = 0

    def open(self, request: DeviceRequest) -> DeviceFormat:
        """Find the devices that a request names, and return the format in which they run.

        The rate is that of the graph if the devices take it, otherwise their own. Raises LiveError if a device is
        missing.
        """
        ports = request.ports.items()
        self._input = _one(find_device(port.device, output=False) for name, port in ports if not name.startswith(OUT))
        self._output = _one(find_device(port.device, output=True) for name, port in ports if name.startswith(OUT))
        self._inputs = self._channels(request, output=False)
        outputs = self._channels(request, output=True)
        columns = request.columns(
            self._input.inputs if self._input else 0, min(outputs, self._output.outputs) if self._output else 0
        )
        rate = self._rate(request.rate, outputs)
        samples = max(1, round(request.quantum * rate))
        about = " -> ".join(f"{one.name} ({one.api})" for one in (self._input, self._output) if one)
        return DeviceFormat(rate, samples, outputs, columns, f"{about}, {hertz(rate)}")

    def _channels(self, request: DeviceRequest, output: bool) -> int:
        """Return how many channels of the output device, or of the input device, must be opened for a request."""
        found = self._output if output else self._input
        if found is None:
            return 0
        most = 0
        for name, port in request.ports.items():
            if name.startswith(OUT) == output:
                channels = found.outputs if output else found.inputs
                most = max(most, 1 + max(port.columns(request.streams[name].channels, channels, output)))
        return most

    def _rate(self, wanted: Fraction, outputs: int) -> Fraction:
        sd = _sounddevice()
        rates = [wanted, *(to_fraction(one.rate) for one in (self._output, self._input) if one)]
        refusal = ""
        for rate in rates:
            try:
                if self._input:
                    sd.check_input_settings(self._input.number, self._inputs, "float32", None, float(rate))
                if self._output:
                    sd.check_output_settings(self._output.number, outputs, "float32", None, float(rate))
            except (sd.PortAudioError, ValueError) as error:
                refusal = refusal or str(error)
            else:
                return rate
        raise LiveError(f"the device takes neither {' nor '.join(hertz(rate) for rate in rates)}: {refusal}")

    def run(self, engine: Engine, stop: threading.Event) -> None:
        """Run the device and the engine until `stop` is set.

        Raises LiveError if the device cannot be opened, or ends by itself.
        """
        sd = _sounddevice()
        form, exchange, ended = engine.form, engine.exchange, threading.Event()
        clock = _Clock(form.rate)
        nothing = np.zeros((form.samples, 0), np.float32)

        def both(heard: Any, played: Any, frames: int, now: Any, status: Any) -> None:
            lost = clock.lost(now.inputBufferAdcTime, frames, status.input_overflow)
            played[:] = exchange.swap(heard.copy(), lost)

        def only_played(played: Any, frames: int, now: Any, status: Any) -> None:
            played[:] = exchange.swap(nothing)

        def only_heard(heard: Any, frames: int, now: Any, status: Any) -> None:
            exchange.swap(heard.copy(), clock.lost(now.inputBufferAdcTime, frames, status.input_overflow))

        given: dict[str, Any] = {
            "samplerate": float(form.rate), "blocksize": form.samples, "dtype": "float32", "latency": "low",
            "finished_callback": ended.set, "clip_off": True, "dither_off": True,
        }  # fmt: skip
        thread = EngineThread(engine, realtime=True)
        thread.start()
        try:
            if self._input and self._output:
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
        except sd.PortAudioError as error:
            raise LiveError(f"the device cannot be used ({form.about}): {error}") from None
        finally:
            exchange.end()
            thread.join()

    def _watch(self, exchange: Exchange, stop: threading.Event, ended: threading.Event) -> None:
        """Wait until `stop` is set. Raises LiveError if the device ends, or asks for nothing any more.

        PortAudio does not always say that a device has gone. Such a stream is left open: to close it may never end.
        """
        asked, since = -1, time.monotonic()
        while not stop.wait(_CHECK):
            if exchange.number != asked:
                asked, since = exchange.number, time.monotonic()
            if ended.is_set() or time.monotonic() > since + _PATIENCE:
                raise LiveError("the device was lost: is it still connected?")


class _Clock:
    """The times of recorded blocks, from which the number of lost samples is computed. rate: of the device, Hz."""

    def __init__(self, rate: Fraction) -> None:
        self._rate = float(rate)
        self._expected: float | None = None

    def lost(self, now: float, frames: int, overflow: bool) -> int:
        """Return how many samples were lost before a block.

        now: the time of the first sample of the block, in seconds. frames: its number of samples. overflow: whether
        PortAudio says that samples were lost; it does not say how many. The times say it, to a fraction of a block, and
        only whole blocks are lost.
        """
        expected, self._expected = self._expected, now + frames / self._rate
        if not overflow or expected is None:
            return 0
        samples = round((now - expected) * self._rate / frames) * frames
        return samples if 0 < samples <= _MOST_LOST * self._rate else 0


def _one(found: Iterable[Found]) -> Found | None:
    """Return the only device among those found; None if there is none. Raises LiveError if there are several."""
    there = list(dict.fromkeys(found))
    if len(there) > 1:
        names = ", ".join(one.name for one in there)
        raise LiveError(f"one device is the clock; found {names}: take channels of one device, as in NAME:2")
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

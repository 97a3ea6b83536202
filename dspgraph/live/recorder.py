"""The recorder of a live graph: it writes the inputs, the outputs and the events to files, all complete or none."""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from queue import SimpleQueue
from typing import Any

from dspgraph.errors import RequestError
from dspgraph.io.atomic import write_whole
from dspgraph.io.audio import AudioSink
from dspgraph.io.formats import audio_format
from dspgraph.live.ports import rounded
from dspgraph.streams import Array, Audio, Stream

EVENTS = "events.jsonl"
STATS = "stats.json"

_FLOAT = audio_format(".wav", "FLOAT")


class Recorder:
    """Files in a folder: INPUT.wav, out.wav (or out_OUTPUT.wav if there are several), events.jsonl and stats.json.

    A thread writes them, so that the engine never waits for a disk. `close` completes them.

    inputs, outputs: the streams that are recorded. header: the first line of the file of events. Raises RequestError
    for an input that is not audio, and for files that exist already.
    """

    def __init__(
        self, folder: Path, inputs: Mapping[str, Stream], outputs: Mapping[str, Stream], header: Mapping[str, Any]
    ) -> None:
        self.folder = folder
        self.error: BaseException | None = None
        names = recorded_files(inputs, outputs)
        for path in [*(folder / name for name in names.values()), folder / EVENTS, folder / STATS]:
            if path.exists():
                raise RequestError(f"{path} is there already: record into another folder")
        folder.mkdir(parents=True, exist_ok=True)
        self._lines = [json.dumps(header)] if header else []
        self._sounds = 0
        self._sinks: dict[tuple[str, str], AudioSink] = {}
        self._written: set[tuple[str, str]] = set()
        with ExitStack() as opened:
            for key, name in names.items():
                stream = inputs[key[1]] if key[0] == "in" else outputs[key[1]]
                assert isinstance(stream, Audio)
                self._sinks[key] = AudioSink(folder / name, stream, _FLOAT)
                opened.callback(self._sinks[key].discard)
            opened.pop_all()
        self._queue: SimpleQueue[tuple[tuple[str, str], Array] | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._write, name="recorder", daemon=True)
        self._thread.start()

    def put(self, side: str, name: str, block: Array) -> None:
        """Record a block of an input (side "in") or of an output (side "out"), if it is recorded."""
        if (side, name) in self._sinks:
            self._queue.put(((side, name), block))

    def line(self, entry: Mapping[str, Any]) -> None:
        """Add a line to the file of events."""
        self._lines.append(json.dumps(entry))

    def sound(self, name: str, sound: Array, stream: Audio) -> str:
        """Write a sound that is played into the input `name`; return the name of the file."""
        self._sounds += 1
        path = self.folder / f"{name}_{self._sounds}.wav"
        with AudioSink(path, stream, _FLOAT) as sink:
            sink.write(rounded(sound))
        return path.name

    def close(self, stats: Mapping[str, Any]) -> None:
        """Complete all files, also after an error. Raises the error of the file that could not be written."""
        self._queue.put(None)
        self._thread.join()
        try:
            if self.error is not None:
                raise self.error
            kept = [sink for key, sink in self._sinks.items() if key in self._written]
            for sink in kept:
                sink.close()
            write_whole(self.folder / EVENTS, "".join(f"{line}\n" for line in self._lines).encode())
            write_whole(self.folder / STATS, (json.dumps(stats, indent=1) + "\n").encode())
            for sink in kept:
                sink.place()
        finally:
            for sink in self._sinks.values():
                sink.discard()

    def _write(self) -> None:
        while (one := self._queue.get()) is not None:
            key, block = one
            if self.error is not None or not len(block):
                continue
            try:
                self._sinks[key].write(rounded(block))
                self._written.add(key)
            except BaseException as error:
                self.error = error  # the engine reads it, and `close` raises it


def recorded_files(inputs: Mapping[str, Stream], outputs: Mapping[str, Stream]) -> dict[tuple[str, str], str]:
    """Return ("in" or "out", name of the input or output) -> name of its file. Outputs that are not audio have no file.

    Raises RequestError for an input that is not audio, and for two files with the same name.
    """
    found = {}
    for name, stream in inputs.items():
        if not isinstance(stream, Audio):
            raise RequestError(f"only audio can be recorded; the input '{name}' is {stream}")
        found["in", name] = f"{name}.wav"
    audio = [name for name, stream in outputs.items() if isinstance(stream, Audio)]
    for name in audio:
        found["out", name] = "out.wav" if len(audio) == 1 else f"out_{name.replace('/', '_')}.wav"
    if len(set(found.values())) < len(found):
        raise RequestError(f"an input is called as a recorded output: {', '.join(found.values())}: rename it")
    return found

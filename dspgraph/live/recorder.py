"""The recorder of a live graph: it writes the inputs, the outputs and the events to files."""

from __future__ import annotations

import json
import shutil
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from fractions import Fraction
from pathlib import Path
from queue import SimpleQueue
from typing import Any

from dspgraph.errors import FileError, LiveError, RequestError
from dspgraph.io.atomic import write_whole
from dspgraph.io.audio import AudioSink
from dspgraph.io.formats import audio_format
from dspgraph.live.ports import rounded
from dspgraph.live.sounds import FileSound
from dspgraph.streams import Array, Audio, Stream

EVENTS = "events.jsonl"
STATS = "stats.json"
SOUNDS = "sounds"

SPARE = 2**25
"""Bytes that a recording leaves free on the disk; it needs some of them to complete its files."""

_PULSE = 5.0
"""Seconds between two calls of `waiting` while `Recorder.close` waits for the copy of a file."""

_FLOAT = audio_format(".wav", "FLOAT")


class Recorder:
    """The writer of a recording: INPUT.wav, out.wav (or several out_OUTPUT.wav), events.jsonl, stats.json in a folder.

    The sounds that were played are in the subfolder `sounds`. A thread writes the inputs and outputs, so that the
    engine never waits for a disk. Another thread copies the files that are played, each part of a file once. `close`
    completes all files; there is no file for a stream without samples. The recording stops before the disk is full and
    before a file is longer than its format allows; then all files end at the same block. For this, the caller must put
    the blocks in the order of `recorded_files`: first a block of each input, then a block of each output. The attribute
    `error` has the first error of the recording, or None; after an error, no more blocks are written.

    folder: is made if it is missing. inputs, outputs: name -> stream, of the inputs and outputs that are recorded;
    outputs that are not audio are left out. header: the first line of the file of events; {}: there is none. Raises the
    errors of `recorded_files`, RequestError for files that exist already, and FileError for files that cannot be made.
    """

    def __init__(
        self, folder: Path, inputs: Mapping[str, Stream], outputs: Mapping[str, Stream], header: Mapping[str, Any]
    ) -> None:
        self.folder = folder
        self.error: Exception | None = None
        names = recorded_files(inputs, outputs)
        for path in [folder / name for name in (*names.values(), EVENTS, STATS, SOUNDS)]:
            if path.exists():
                raise RequestError(f"{path} is there already: record into another folder")
        folder.mkdir(parents=True, exist_ok=True)
        self._lines = [json.dumps(header)] if header else []
        self._sounds: dict[str, AudioSink] = {}
        self._played: set[str] = set()
        self._lock = threading.Lock()  # for what `sound` changes
        self._copied: dict[tuple[Any, ...], str] = {}  # `FileSound.key` -> file
        self._closed = False
        self._number = 0  # of the last sound
        self._sinks: dict[tuple[str, str], AudioSink] = {}
        self._written = dict.fromkeys(names, 0)
        with ExitStack() as opened:
            for key, name in names.items():
                stream = inputs[key[1]] if key[0] == "in" else outputs[key[1]]
                assert isinstance(stream, Audio)
                self._sinks[key] = AudioSink(folder / name, stream, _FLOAT, keeps=True)
                opened.callback(self._sinks[key].discard)
            opened.pop_all()
        self._first = next(iter(names), None)
        self._longest = min((_longest(sink.stream) for sink in self._sinks.values()), default=Fraction(0))
        self._queue: SimpleQueue[tuple[tuple[str, str], Array] | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._write, name="recorder", daemon=True)
        self._thread.start()
        self._copies: SimpleQueue[tuple[str, FileSound] | None] = SimpleQueue()
        self._copier = threading.Thread(target=self._copy, name="copies of sounds", daemon=True)
        self._copier.start()

    def put(self, side: str, name: str, block: Array) -> None:
        """Record a block of an input (side "in") or of an output (side "out").

        A block of an input or output that has no file is ignored. A thread writes the block later, in float32: the
        caller must not change the block.
        """
        if (side, name) in self._sinks:
            self._queue.put(((side, name), block))

    def line(self, entry: Mapping[str, Any]) -> None:
        """Add a line to the file of events. The file of a sound is kept only if a line has it under the key "file".

        entry: what JSON can have, with the time of the event. `close` writes the lines.
        """
        self._lines.append(json.dumps(entry))
        self._played.add(entry.get("file", ""))

    def sound(self, name: str, sound: Array | FileSound, stream: Audio) -> str:
        """Write a sound that is to be played into the input `name`; return its file, relative to the folder.

        A `FileSound` is written by a thread, after the return; `FileSound`s with equal keys have one file. The file
        appears at `close`, if a line names it. stream: the stream of the input. Raises FileError if the disk or the
        format has no room for the sound, or if it cannot be written before the return; and LiveError after `close`.
        """
        with self._lock:
            if self._closed:
                raise LiveError("the live graph has ended")
            if isinstance(sound, FileSound) and sound.key in self._copied:
                return self._copied[sound.key]
            self._number += 1
            file = f"{SOUNDS}/{name}_{self._number}.wav"
            self._check_space(4 * sound.size)
            _FLOAT.check_size(self.folder / file, sound.size)
            (self.folder / SOUNDS).mkdir(exist_ok=True)
            self._sounds[file] = sink = AudioSink(self.folder / file, stream, _FLOAT)
            if isinstance(sound, FileSound):
                self._copied[sound.key] = file
                self._copies.put((file, sound))
            else:
                sink.write(rounded(sound))
                sink.close()
        return file

    def _copy(self) -> None:
        """Write the sounds of files, in a thread, until `close`.

        A sound that cannot be read or written has no file; the attribute `error` keeps the error.
        """
        while (one := self._copies.get()) is not None:
            file, sound = one
            sink = self._sounds[file]
            try:
                for block in sound.blocks():
                    sink.write(rounded(block))
                sink.close()
            except Exception as error:
                self.error = self.error or error
                with self._lock:
                    del self._sounds[file]
                    del self._copied[sound.key]
                sink.discard()

    def close(self, stats: Mapping[str, Any], waiting: Callable[[], object] = lambda: None) -> None:
        """Complete all files, also after an error. Then raise the first error of the recording, if there was one.

        Files without samples, and sounds that no line names, are removed. stats: the content of stats.json. waiting: a
        function that is called at least every 5 s while files are still copied.
        """
        with self._lock:
            self._closed = True
        self._queue.put(None)
        self._copies.put(None)
        self._thread.join()
        while self._copier.is_alive():
            self._copier.join(_PULSE)
            waiting()
        try:
            complete = []
            for sink in (*(self._sounds[file] for file in self._sounds.keys() & self._played),
                         *(self._sinks[key] for key, count in self._written.items() if count)):  # fmt: skip
                with self._holding():
                    sink.close()
                    complete.append(sink)
                    if sink.failed:
                        raise sink.failed
            with self._holding():
                write_whole(self.folder / EVENTS, "".join(f"{line}\n" for line in self._lines).encode())
            with self._holding():
                write_whole(self.folder / STATS, (json.dumps(stats, indent=1) + "\n").encode())
            for sink in complete:
                with self._holding():
                    sink.place()
        finally:
            for sink in (*self._sounds.values(), *self._sinks.values()):
                sink.discard()
            with suppress(OSError):  # it has sounds in it, or does not exist
                (self.folder / SOUNDS).rmdir()
        if self.error is not None:
            raise self.error

    @contextmanager
    def _holding(self) -> Iterator[None]:
        """Catch every error in the `with` block. Keep the first error of the recording in the attribute `error`.

        The engine reads `error`, and `close` raises it.
        """
        try:
            yield
        except Exception as error:
            self.error = self.error or error

    def _write(self) -> None:
        while (one := self._queue.get()) is not None:
            key, block = one
            if self.error is None and len(block):
                with self._holding():
                    if key == self._first:
                        self._check_space(0)
                        self._check_length(self._written[key] + len(block))
                    self._sinks[key].write(rounded(block))
                    self._written[key] += len(block)
                    if failed := self._sinks[key].failed:
                        raise failed

    def _check_space(self, size: int) -> None:
        """Raise FileError unless the disk has room for `size` bytes, and SPARE more to complete the files."""
        free = shutil.disk_usage(self.folder).free
        if free < size + SPARE:
            raise FileError(
                f"the disk of {self.folder} has only {free / 2**20:.0f} MiB left: what was recorded is kept; record on "
                "another disk, or free some space"
            )

    def _check_length(self, count: int) -> None:
        """Raise FileError if the format of some file does not allow the length that the recording would have.

        count: the number of samples of the first file, with the block that is to be written.
        """
        assert self._first is not None
        if count / self._sinks[self._first].stream.rate > self._longest:
            raise FileError(
                f"the recording in {self.folder} is complete: a WAV file holds up to 4 GiB, here "
                f"{float(self._longest) / 3600:.3g} h: record the rest into another folder"
            )


def _longest(stream: Audio) -> Fraction:
    """Return the longest duration in seconds that a WAV file of a stream can have, less one second."""
    return Fraction(_FLOAT.size * 8 // (_FLOAT.bits * stream.channels)) / stream.rate - 1


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

"""The files for the outputs of a graph. No file gets its final name before all files are complete."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from dspgraph.graph import Graph
from dspgraph.io.arrays import ArraySink
from dspgraph.io.audio import AudioSink
from dspgraph.io.formats import AudioFormat
from dspgraph.node import generator
from dspgraph.streams import Array, Audio, stream_to_dict


class OutputFiles:
    """One audio file for each audio output of a graph, and one .npz file for all other outputs together.

    Call `write` for each block, then `close` and `place`; `discard` after an error. targets: name of an output -> final
    path of its file, the same path for all outputs that are not audio; the folders must exist. Until `place` is called,
    the files have temporary names. item: the id of the item; the dither of a 16-bit file depends on it. form: the
    format of audio files; by default, the suffix of each path decides. Raises the errors of `AudioSink` and
    `ArraySink`.
    """

    def __init__(
        self, graph: Graph, targets: Mapping[str, Path], item: str = "", form: AudioFormat | None = None
    ) -> None:
        self.outputs, self.targets = dict(sorted(graph.outputs.items())), targets  # sorted by name
        self.audio: dict[str, AudioSink] = {}
        self.arrays: ArraySink | None = None
        self._hashes = {name: hashlib.sha256() for name in self.outputs}
        self._counts = dict.fromkeys(self.outputs, 0)
        try:
            for name, stream in self.outputs.items():
                if isinstance(stream, Audio):
                    self.audio[name] = AudioSink(
                        self.targets[name], stream, form, generator(dither_key(graph.seed, item, name))
                    )
            if others := {name: stream for name, stream in self.outputs.items() if name not in self.audio}:
                self.arrays = ArraySink(self.targets[next(iter(others))], others)
        except BaseException:
            self.discard()
            raise

    def write(self, outputs: Mapping[str, Array]) -> None:
        """Append blocks. outputs: name of an output -> its next block. Raises SignalError for NaN and infinity."""
        for name, block in outputs.items():
            if name in self.audio:
                self.audio[name].write(block)
            elif self.arrays:
                self.arrays.write(name, block)
            self._hashes[name].update(np.ascontiguousarray(block).data)
            self._counts[name] += len(block)

    def close(self) -> None:
        """Complete all files and make sure that they are on the disk, under their temporary names.

        Raises FileError if this fails, and for an audio file without samples.
        """
        for sink in self._all():
            sink.close()

    def place(self) -> None:
        """Give all files their final names, in place of older files. Call `close` first."""
        for sink in self._all():
            sink.place()

    def discard(self) -> None:
        """Close all files, and remove those that still have temporary names."""
        for sink in self._all():
            sink.discard()

    def _all(self) -> Iterator[AudioSink | ArraySink]:
        yield from self.audio.values()
        if self.arrays:
            yield self.arrays

    @property
    def seconds(self) -> float:
        """The duration of the longest output, in seconds, as far as it is written."""
        return max(float(stream.seconds(self._counts[name])) for name, stream in self.outputs.items())

    def describe(self) -> dict[str, Any]:
        """Return name of an output -> its entry in the sidecar: file name, stream, number of items, SHA-256.

        The entry of an audio output also has the subtype of its file and the dither. The SHA-256 is the hash of the
        items as computed, before samples are clipped and rounded for the file.
        """
        return {
            name: {
                "file": self.targets[name].name,
                **stream_to_dict(stream),
                **(_sample_format(self.audio[name].form) if name in self.audio else {}),
                "items": self._counts[name],
                "sha256": self._hashes[name].hexdigest(),
            }
            for name, stream in self.outputs.items()
        }

    def notes(self) -> Iterator[str]:
        """Yield a sentence for every audio output with clipped samples."""
        for name, sink in self.audio.items():
            if sink.clipped:
                yield f"{sink.clipped} samples of '{name}' beyond full scale were clipped"


def dither_key(seed: int, item: str, output: str) -> int:
    """Return the key of the dither of one file, for `generator`.

    The key is a hash of the seed of the graph, the id of the item and the name of the output. A file is therefore the
    same in every run, whichever other items are rendered.
    """
    text = f"{seed}/{item}/{output}/dither".encode(errors="surrogateescape")
    return int.from_bytes(hashlib.blake2b(text, digest_size=16).digest(), "little")


def _sample_format(form: AudioFormat) -> dict[str, str]:
    return {"subtype": form.subtype, "dither": form.dither}

"""Rendering of a recording with a file of events: controls move, variants are swapped, sounds are played."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Any

from dspgraph.errors import DspgraphError, FileError, RequestError, suggest
from dspgraph.graph import Graph
from dspgraph.io.audio import AudioSink
from dspgraph.io.formats import audio_format
from dspgraph.io.paths import read_file
from dspgraph.live.events import Event, Play, Set, Stop, Swap, time_of
from dspgraph.live.performance import Performance, finite_latency, is_control
from dspgraph.live.sounds import FileSound
from dspgraph.pipeline.file_values import values_of
from dspgraph.pipeline.locate import locate
from dspgraph.pipeline.pipeline import Pipeline
from dspgraph.rendering.inputs import AlignedFiles, named_files
from dspgraph.rendering.targets import check_outputs, check_overwrites, output_paths
from dspgraph.shown import shown
from dspgraph.streams import Audio, to_fraction

MOST_EVENT_BYTES = 2**26
"""The largest size of a file of events that is read, in bytes."""

_KEYS: Mapping[str, tuple[str, ...]] = {
    "set": ("at", "value", "over", "shape"),
    "swap": ("at", "overrides", "pipeline", "settle", "over"),
    "play": ("at", "file", "loops", "skip"),
    "stop": ("at",),
}
"""Key that says what happens -> the other keys that a line can have."""

_BEGIN = '{"begin":'
"""The beginning of the first line of a recording of a live graph."""

_NEEDED: Mapping[str, str] = {"set": "value", "play": "file"}
"""Key that says what happens -> a further key that a line must have."""


class EventFile:
    """A file with events for a pipeline, one event per line, in JSON.

    pipeline, overrides, swaps, plugins: the graph at the beginning, as in `pipeline.load`. files: the audio files that
    are rendered, each as FILE or NAME=FILE. An input that is declared with the rate or the channels `file` gets those
    of its file or, if no file is named for it, of the first file. `recorded` returns the files by the names of their
    inputs. Raises FileError if the file of events cannot be read, or was recorded with another graph, and the errors of
    `Pipeline`. Examples of lines:

    {"at": 1.5, "set": "volume", "value": 0.3, "over": 0.5, "shape": "line"}
    {"at": "3/2", "swap": {"excitation": "whisper"}, "overrides": ["lpc.order=20"], "settle": 0.05, "over": 0.02}
    {"at": 2, "play": "music", "file": "music.wav", "loops": 2}
    {"at": 3, "stop": "music"}

    `at` is the time in seconds of the recording: a number, or an exact fraction as text. The other keys are those of
    the classes `Set`, `Swap`, `Play` and `Stop` of `dspgraph.live`. `over`, `shape`, `settle`, `loops`, `skip`,
    `overrides` and `pipeline` may be missing; `loops` is null for a sound without end. A swap selects variants of slots
    of the pipeline; slots that it does not name keep the variants of the first graph, and its overrides are added to
    those of the first graph. With `pipeline`, as in a recording, the new graph is that pipeline with the swaps and
    overrides of the event only. The path of a sound or of a pipeline is relative to the folder of the file of events.

    The events of a live graph are recorded into such a file. Its first line then says how the graph was at the
    beginning: swaps and overrides, latency, values of controls, and the inputs into which sounds are played. They are
    used as if they had been given to the constructor.
    """

    def __init__(
        self,
        path: Path,
        pipeline: str | Path,
        overrides: Sequence[str],
        swaps: Mapping[str, str],
        plugins: Sequence[Any],
        files: Sequence[Path] = (),
    ) -> None:
        self.path = path
        self.files = [path]
        """The files that were read: this one and, after `events` or `numbered`, the sounds that the events play."""
        begin = self._beginning()
        made = begin.get("begin") or {}
        self.pipeline, self.plugins = pipeline, list(plugins)
        self.overrides, self.swaps = [*made.get("overrides", []), *overrides], {**made.get("swap", {}), **swaps}
        described = Pipeline(pipeline, self.overrides, self.swaps, plugins)
        self._named, self._others = named_files(files, described.document.inputs)
        first = self._pipeline(pipeline, self.overrides, self.swaps)
        self.graph: Graph = first.graph
        self.controls = {**first.controls, **begin.get("controls", {})}
        self.played: tuple[str, ...] = tuple(begin.get("played", ()))
        self.latency: Fraction | None = to_fraction(begin["latency"]) if "latency" in begin else None
        if begin and begin.get("recipe") != self.graph.recipe:
            raise FileError(
                f"{path} was recorded with {made.get('pipeline', 'a graph that no file describes')}, and this is "
                "another graph: give the pipeline as it was then, without other swaps and settings"
            )

    def _pipeline(self, name: str | Path, overrides: Sequence[str], swaps: Mapping[str, str]) -> Pipeline:
        found = Pipeline(name, overrides, swaps, self.plugins)
        first = next(iter([*self._others, *self._named.values()]), None)
        if not found.wanted or first is None:
            return found
        files = {one.input: self._named.get(one.input, first) for one in found.wanted}
        return found.given(values_of(found.wanted, files))

    def recorded(self, played: Collection[str]) -> dict[str, tuple[Path, Audio]]:
        """Return name of an input -> (its file, its stream) for every input that is neither a control nor in `played`.

        A FILE without NAME is allowed only if it is the only file and there is only one such input. Raises RequestError
        if there is no such input, if one is not audio or has no file, and for a file of another input.
        """
        inputs = {name: one for name, one in self.graph.inputs.items() if not is_control(one) and name not in played}
        named = dict(self._named)
        alone = not named and len(self._others) == 1 == len(inputs)
        if alone:
            named = {next(iter(inputs)): self._others[0]}
        if (self._others and not alone) or not inputs or not all(isinstance(one, Audio) for one in inputs.values()):
            given = " ".join(f"{name}=FILE" for name in inputs)
            raise RequestError(
                "events are for a pipeline with recorded audio inputs beside controls and played sounds; "
                f"found {', '.join(map(str, self._others)) or 'no file'} for {', '.join(inputs) or 'no input'}: "
                f"give {given or 'a pipeline with such an input'}"
            )
        for name in named:
            if name not in inputs:
                raise RequestError(f"'{name}' is a control, or sounds are played into it: it takes no file")
        found = {}
        for name, stream in inputs.items():
            if name not in named:
                raise RequestError(f"the input '{name}' has no file: write {name}=FILE too")
            assert isinstance(stream, Audio)
            found[name] = named[name], stream
        return found

    def _lines(self) -> list[str]:
        try:
            return read_file(self.path, MOST_EVENT_BYTES).decode().splitlines()
        except UnicodeDecodeError as error:
            raise FileError(f"{self.path} is not text in UTF-8: {error}") from None

    def _beginning(self) -> dict[str, Any]:
        """Return the data of the line {"begin": ...}, with which the recording of a live graph begins.

        The keys are "begin" (with the swaps and overrides) and "recipe" and, where they are recorded, "latency",
        "controls" and "played". The result is {} if the first line that is not blank is no such line. Raises FileError
        for a faulty one.
        """
        number, first = next(self._entries(), (1, ""))
        if not first.startswith(_BEGIN):
            return {}
        try:
            entry = _parsed(first)
            _check_beginning(entry)
        except DspgraphError as error:
            raise FileError(f"{self.path}, line {number}: {error}") from error
        return dict(entry)

    def _entries(self) -> Iterator[tuple[int, str]]:
        """Yield (number, line) of every line that is not blank; the first line of the file has the number 1."""
        for number, line in enumerate(self._lines(), start=1):
            if line.strip():
                yield number, line

    def events(self) -> Iterator[Event]:
        """Yield the events in the file, in the order of the lines, not of the times; the line {"begin": ...} is none.

        Each file of a sound is added to `files`. Raises FileError, which names the line, for a faulty event.
        """
        for _, event in self.numbered():
            yield event

    def numbered(self) -> Iterator[tuple[int, Event]]:
        """Yield (number of the line, from 1; event) as `events` does, with the same errors."""
        for k, (number, line) in enumerate(self._entries()):
            if k == 0 and line.startswith(_BEGIN):
                continue
            with self._place(number):
                event = self._event(_parsed(line))
            yield number, event

    def performance(self, latency: Fraction, happening: Iterable[tuple[int, Event]]) -> Performance:
        """Return a performance of the graph with events.

        latency: the latency of the performance, in seconds. happening: pairs (number of the line in this file, event)
        in any order. Sounds can be played into the inputs that these events name, or that the first line of this file
        names if it is a recording. Raises FileError that names the line of an event that does not fit the graph.
        """
        numbered = sorted(happening, key=lambda one: time_of(one[1]))
        played = {*self.played, *(event.input for _, event in numbered if isinstance(event, Play | Stop))}
        sounding = [name for name, one in self.graph.inputs.items() if name in played and not is_control(one)]
        performance = Performance(self.graph, (), self.controls, sounding, latency)
        for number, event in numbered:
            with self._place(number):
                performance.add(event)
        return performance

    @contextmanager
    def _place(self, number: int) -> Iterator[None]:
        """Turn a DspgraphError in a `with` block into a FileError that begins with the file and the line number."""
        try:
            yield
        except DspgraphError as error:
            raise FileError(f"{self.path}, line {number}: {error}") from error

    def _event(self, entry: Any) -> Event:
        kinds = [key for key in _KEYS if isinstance(entry, dict) and key in entry]
        if len(kinds) != 1 or "at" not in entry:
            raise RequestError(f"an event is a mapping with 'at' and one of {', '.join(_KEYS)}; found {shown(entry)}")
        (kind,) = kinds
        for key in entry:
            if key not in (kind, *_KEYS[kind]):
                raise RequestError(f"'{key}' is no key of the event '{kind}'; {suggest(key, _KEYS[kind])}")
        needed = _NEEDED.get(kind, "at")
        if needed not in entry:
            raise RequestError(f"the event '{kind}' has no '{needed}'")
        if entry["at"] is None:
            raise RequestError("'at' is a time in seconds; found None")
        if kind != "swap" and not isinstance(entry[kind], str):
            raise RequestError(f"'{kind}' is a name; found {shown(entry[kind])}")
        given = {key: value for key, value in entry.items() if key not in (kind, "overrides", "pipeline", "file")}
        if kind == "set":
            return Set(str(entry[kind]), **given)
        if kind == "stop":
            return Stop(str(entry[kind]), **given)
        if kind == "play":
            name = str(entry[kind])
            stream = self.graph.inputs.get(name)
            if not isinstance(stream, Audio) or not isinstance(entry["file"], str):
                raise RequestError(f"'play' names an audio input, and 'file' a file; found {shown(entry)}")
            file = self.path.parent / entry["file"]
            self.files.append(file)
            sound = FileSound(file, stream, rounds=False)
            return Play(name, sound if sound.long else sound.read(), **given)
        if not isinstance(entry[kind], dict) or not _are_texts(entry[kind].values()):
            raise RequestError(f"'swap' is a mapping, slot to variant; found {shown(entry[kind])}")
        more = entry.get("overrides", [])
        if not isinstance(more, list) or not _are_texts(more):
            raise RequestError(f"'overrides' is a list of texts, as in [\"NODE.PARAMETER=VALUE\"]; found {shown(more)}")
        if (name := entry.get("pipeline")) is not None:  # a recording: it has all swaps and overrides of the graph
            return Swap(self._pipeline(self._located(name), more, entry[kind]).graph, **given)
        overrides = [*self.overrides, *more]
        return Swap(self._pipeline(self.pipeline, overrides, {**self.swaps, **entry[kind]}).graph, **given)

    def _located(self, name: Any) -> str | Path:
        """Return the name or path of the pipeline of a swap. name: the value of the key `pipeline` in the event.

        The recording of a live graph has names of pipelines, not paths. If `name` is the name of the pipeline that was
        given to the constructor, the pipeline is returned as it was given there, which may be a path. Otherwise the
        result is the path of the file that `locate` finds; a path in the event is relative to the folder of the file of
        events. Raises RequestError if `name` is not text, and UnknownName if there is no such pipeline.
        """
        if not isinstance(name, str):
            raise RequestError(f"'pipeline' is the name of a pipeline, or a path; found {shown(name)}")
        return self.pipeline if name == Path(self.pipeline).stem else locate(name, self.path)


def _check_beginning(entry: Any) -> None:
    """Raise RequestError unless a mapping has the form of the first line that a live graph records.

    Each key may be missing. The values of controls and the recipe are not checked.
    """
    made = entry.get("begin") or {}
    fits = (
        isinstance(made, dict)
        and isinstance(made.get("swap", {}), dict)
        and _are_texts(made.get("swap", {}).values())
        and isinstance(made.get("overrides", []), list)
        and _are_texts(made.get("overrides", []))
        and isinstance(entry.get("latency", ""), str)
        and isinstance(entry.get("controls", {}), dict)
        and isinstance(entry.get("played", []), list)
        and _are_texts(entry.get("played", []))
    )
    if not fits:
        raise RequestError(f"this is not the first line of a recording: {shown(entry)}")


def _are_texts(values: Iterable[Any]) -> bool:
    return all(isinstance(value, str) for value in values)


def _parsed(line: str) -> Any:
    """Return the data in a line of JSON. Raises RequestError if the line is not JSON."""
    try:
        return json.loads(line)
    except json.JSONDecodeError as error:
        raise RequestError(f"it is no JSON: {error}") from None
    except RecursionError:
        raise RequestError("it is nested too deeply") from None
    except ValueError:
        raise RequestError("a number has too many digits") from None


def render_events(
    events: EventFile,
    out: Path,
    suffix: str,
    subtype: str = "",
    overwrite: bool = False,
    note: Callable[[str], None] = lambda _: None,
) -> list[Path]:
    """Render recordings as a performance with events; return the audio files that were written, one per output.

    The outputs are as long as the first recording, in the order of the inputs of the graph. They are delayed, as in a
    performance: by the latency that the file of events has recorded or, without it, by the largest latency of all
    graphs. They are written in blocks. out: the output folder, which is made; suffix, subtype: the format of the files,
    which have the name of the first recording and, if there are several outputs, that of the output. note: called with
    sentences, such as that a recording was cut. Raises RequestError for inputs without recordings, for outputs that are
    not audio, for an output file that would replace an input file, and, without `overwrite`, for output files that
    exist already. Raises FileError for a faulty event, and for a file that cannot be read or written.
    """
    graph, happening = events.graph, list(events.numbered())
    check_outputs(graph)
    graphs = [graph, *(event.graph for _, event in happening if isinstance(event, Swap))]
    latency = events.latency if events.latency is not None else max(finite_latency(one) for one in graphs)
    performance = events.performance(latency, happening)
    played = {*events.played, *(event.input for _, event in happening if isinstance(event, Play | Stop))}
    recorded = events.recorded(played)
    streams = {name: one for name, one in graph.outputs.items() if isinstance(one, Audio)}
    if len(streams) < len(graph.outputs):
        raise RequestError(f"events are for audio outputs; found {', '.join(graph.outputs)}")
    files = [file for file, _ in recorded.values()]
    paths = output_paths(graph, out, files[0].stem, suffix)
    check_overwrites([*files, *events.files], [{*paths.values()}])
    if not overwrite and (there := [path for path in paths.values() if path.exists()]):
        raise RequestError(f"{there[0]} is there already: give another folder, or --overwrite")
    aligned = AlignedFiles(recorded)
    out.mkdir(parents=True, exist_ok=True)
    with ExitStack() as opened:
        sinks = {
            name: opened.enter_context(AudioSink(path, streams[name], audio_format(path.suffix, subtype)))
            for name, path in paths.items()
        }
        for block in aligned.blocks():
            for name, items in performance.push(**block).items():
                sinks[name].write(items)
    for sentence in aligned.notes:
        note(sentence)
    return list(paths.values())

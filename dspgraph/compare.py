"""Variants of a pipeline side by side, on the same recordings: what each is worth, by number and by ear."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from functools import cached_property
from itertools import product
from pathlib import Path

from dspgraph import metrics
from dspgraph.audio_io import AudioSource
from dspgraph.corpus import Item, gather
from dspgraph.describe import FORMATS
from dspgraph.errors import DspgraphError, RequestError, UnknownName, nearest
from dspgraph.graph import Graph
from dspgraph.ledger import sweep
from dspgraph.pipeline import Pipeline
from dspgraph.rendering import check_digest, check_targets, make_folder, make_inside, render_file
from dspgraph.report import write as write_page
from dspgraph.results import Recording, Results, Score, Variant, write
from dspgraph.streams import Audio
from dspgraph.union import union
from dspgraph.work import Executor, Serial

REFERENCE = "reference"
"""Where the recordings themselves are kept, at the rate and with the channels that the variants take."""

AUDIO, PAGE = "audio", "report.html"


@dataclass(frozen=True)
class Choice:
    """One graph to compare: what it is called, and how it came about."""

    name: str
    graph: Graph
    swaps: Mapping[str, str] = field(default_factory=dict)
    overrides: Sequence[str] = ()

    @property
    def output(self) -> str:
        """The output that is listened to: the one that is audio, or of several the one called as the input."""
        ((name, stream),) = self.graph.inputs.items() if len(self.graph.inputs) == 1 else ((None, None),)
        if not isinstance(stream, Audio):
            raise RequestError(f"{self.name}: what is compared takes one audio input; found {dict(self.graph.inputs)}")
        audio = [output for output, one in self.graph.outputs.items() if isinstance(one, Audio)]
        if len(audio) == 1:
            return audio[0]
        if name in audio:
            return name
        raise RequestError(
            f"{self.name}: what is compared is the one audio output, or the one called '{name}' as the input; found "
            f"{', '.join(audio) or 'none'}"
        )


def choices(
    pipeline: str | Path,
    overrides: Sequence[str] = (),
    swaps: Mapping[str, str] | None = None,
    plugins: Iterable[str | Path] = (),
    vary: Sequence[str] | None = None,
) -> list[Choice]:
    """The graphs that a pipeline is compared as.

    overrides: "name=value"; of several values, "name=value,value", each is one to compare. vary: slots, of which all
    combinations are compared; without it every variant of one slot at a time is, unless there are several values.
    swaps: slots that are the same in all. Raises as `pipeline.load` does, naming the choice.
    """
    swaps, plugins = dict(swaps or {}), list(plugins)
    slots = {slot: list(names) for slot, names in Pipeline(pipeline, (), None, plugins).variants.items()}
    values = [
        [f"{key}={value}" for value in _values(text)] for key, _, text in (one.partition("=") for one in overrides)
    ]
    values = [each if len(each) > 1 else [one] for each, one in zip(values, overrides, strict=True)]
    several = any(len(each) > 1 for each in values)
    for slot in vary or ():
        if slot not in slots:
            raise UnknownName(f"{pipeline} has no slot '{slot}' to vary; {nearest(slot, slots)}")
    found = []
    for swap in _swaps(slots, swaps, vary if vary is not None else [] if several else None):
        for chosen in map(list, product(*values)):
            words = [*swap.values()] if len(slots) == 1 else [f"{slot}={name}" for slot, name in swap.items()]
            words += [one for one, each in zip(chosen, values, strict=True) if len(each) > 1]
            name = ", ".join(words) or Path(pipeline).stem
            try:
                graph = Pipeline(pipeline, chosen, {**swaps, **swap}, plugins).graph
            except DspgraphError as error:
                kept = ", ".join(slot for slot in slots if slot not in swap) or "none"
                raise RequestError(
                    f"'{name}' cannot be compared: {error}: set what it lacks, or say with --vary which slots vary "
                    f"(others: {kept})"
                ) from error
            found.append(Choice(name, graph, {**swaps, **swap}, chosen))
    return found


def _swaps(
    slots: Mapping[str, Sequence[str]], fixed: Mapping[str, str], vary: Sequence[str] | None
) -> Iterator[dict[str, str]]:
    """Swaps to compare: all combinations of the slots that vary, or without any named each slot's, one at a time."""
    if vary is not None:
        for chosen in product(*(slots[slot] for slot in vary)):
            yield dict(zip(vary, chosen, strict=True))
        return
    free = {slot: names for slot, names in slots.items() if slot not in fixed}
    if len(free) != 1:
        yield {}
    for slot, names in free.items():
        yield from ({slot: name} for name in (names if len(free) == 1 else names[1:]))


def _values(text: str) -> list[str]:
    """The parts between commas that stand in no bracket."""
    parts, depth = [""], 0
    for letter in text:
        depth += (letter in "[{(") - (letter in "]})")
        if letter == "," and not depth:
            parts.append("")
        else:
            parts[-1] += letter
    return parts


# ---- the work -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Compared:
    """What became of one recording in all variants."""

    id: str
    source: str
    seconds: float = 0.0
    scores: tuple[Score, ...] = ()
    error: str = ""


@dataclass(frozen=True)
class Comparison:
    """Graphs that recordings go through, and the metrics that judge what comes out."""

    choices: tuple[Choice, ...]
    out: Path
    metrics: tuple[str, ...]

    def __post_init__(self) -> None:
        twice = [name for name, count in Counter(self.names).items() if count > 1]
        if twice or not self.choices:
            raise RequestError(f"what is compared has names of its own; found {', '.join(twice) or 'nothing'}")
        _ = self._together  # made here: whoever works elsewhere is held to these graphs

    @property
    def width(self) -> int:
        """How many recordings are open at a time."""
        return 1

    def check(self) -> None:
        """Raise RequestError where a graph would not give the same samples as where the comparison was made."""
        for whole, digest in self._together.values():
            check_digest(whole, digest)

    def rows(self, items: Iterable[Item]) -> Generator[Compared, None, None]:
        """Each recording rendered by all graphs, and scored."""
        for item in items:
            yield self._row(item)

    def lost(self, item: Item, why: str) -> Compared:
        """The row of a recording that ended whoever worked on it."""
        return Compared(item.id, str(item.path), error=f"{item.path}: {why}")

    def file(self, item: Item, name: str) -> Path:
        """Where what a choice made of a recording is, or the recording itself, by its name among the choices."""
        return self.out / AUDIO / self._folders[name] / f"{item.id}.flac"

    @property
    def names(self) -> list[str]:
        """The reference and the choices."""
        return [REFERENCE, *(choice.name for choice in self.choices)]

    @property
    def stages(self) -> dict[str, int]:
        """How many stages the choices have together, and how many of them are computed."""
        asked = sum(len(choice.graph.order) for choice in self.choices)
        return {"asked": asked, "computed": sum(len(whole.order) for whole, _ in self._together.values())}

    @cached_property
    def _folders(self) -> dict[str, str]:
        """A folder for each choice: its name, as far as every system takes it."""
        folders: dict[str, str] = {REFERENCE: REFERENCE}
        for number, choice in enumerate(self.choices):
            plain = re.sub(r"[^\w=.+-]+", "_", choice.name).strip("._")
            taken = plain.lower() in {folder.lower() for folder in folders.values()}
            folders[choice.name] = f"{plain}_{number}" if taken or not plain else plain
        return folders

    @cached_property
    def _reduced(self) -> dict[str, Graph]:
        """Every graph with the one output that is compared, `y`, and the recording as it takes it."""
        return {choice.name: _with_outputs(choice.graph, {"y": choice.output}) for choice in self.choices}

    @cached_property
    def _together(self) -> dict[tuple[str, ...], tuple[Graph, str]]:
        """Choices that take the same streams, in one graph, and its digest: what they have in common is done once."""
        groups: dict[tuple[object, ...], list[str]] = {}
        for choice in self.choices:
            groups.setdefault((tuple(choice.graph.inputs.items()), choice.graph.seed), []).append(choice.name)
        wholes = {tuple(names): union([self._reduced[name] for name in names]) for names in groups.values()}
        return {names: (whole, whole.digest) for names, whole in wholes.items()}

    def _row(self, item: Item) -> Compared:
        first = self.choices[0].graph
        plain = Graph({}, {}, first.inputs, {REFERENCE: next(iter(first.inputs))})
        kept = render_file(plain, item, {REFERENCE: self._made(item, REFERENCE)})
        if kept.error:
            return Compared(item.id, str(item.path), error=kept.error)
        errors: dict[str, str] = {}
        for names, (whole, _) in self._together.items():
            targets = {f"v{k}/y": self._made(item, name) for k, name in enumerate(names)}
            if render_file(whole, item, targets).error:  # which of them was it?
                for name in names:
                    errors[name] = render_file(self._reduced[name], item, {"y": self.file(item, name)}).error
        scores = [self._score(item, choice.name, errors.get(choice.name, "")) for choice in self.choices]
        return Compared(item.id, str(item.path), kept.audio_seconds, tuple(scores))

    def _made(self, item: Item, name: str) -> Path:
        path = self.file(item, name)
        make_inside(self.out, path.parent)
        return path

    def _score(self, item: Item, name: str, error: str) -> Score:
        if error:
            return Score(item.id, name, {}, error)
        reference, degraded = self.file(item, REFERENCE), self.file(item, name)
        try:
            stream = Audio(AudioSource(reference, Audio(1)).rate)
            x, y = (AudioSource(path, stream).read() for path in (reference, degraded))
            return Score(item.id, name, metrics.measure(x, y, stream.rate, self.metrics))
        except DspgraphError as failed:
            return Score(item.id, name, {}, str(failed))


def _with_outputs(graph: Graph, outputs: Mapping[str, str]) -> Graph:
    """The same graph with some of its outputs, under other names."""
    origins = {name: graph.origins[output] for name, output in outputs.items()}
    return Graph(graph.nodes, graph.wires, graph.inputs, origins, graph.seed, graph.names)


def compare(
    choices: Sequence[Choice],
    files: Iterable[str | Path],
    out: str | Path,
    title: str,
    about: str = "",
    names: Sequence[str] | None = None,
    *,
    executor: Executor = Serial(),  # noqa: B008 it holds nothing
    assets: bool = False,
    started: Callable[[int], None] = lambda due: None,
    done: Callable[[Compared], None] = lambda row: None,
) -> Results:
    """Render recordings with all choices, score what comes out, and write it all into the folder `out`.

    files: as `corpus.gather` takes them. names: of metrics, by default all there are. `audio/` gets what was rendered,
    results.csv and results.json the scores, report.html the page to listen to, with sounds and pictures in it, or
    beside it with `assets`. A choice that fails for a recording is a score with its error; the others are there.
    `started` hears how many recordings there are, `done` sees each as it is ready. Raises RequestError, before anything
    is written, for choices and files that cannot be compared.
    """
    for name in names or ():
        if name not in metrics.METRICS:
            raise UnknownName(f"there is no metric '{name}'; {nearest(name, metrics.METRICS)}")
    work = Comparison(tuple(choices), Path(out), tuple(names or metrics.METRICS))
    items = gather(files, out=Path(out))
    check_targets(items, [{work.file(item, name) for name in work.names} for item in items])
    make_folder(Path(out))
    started(len(items))
    rows: dict[str, Compared] = {}
    try:
        with closing(executor.run(work, items)) as found:
            for row in found:
                rows[row.id] = row
                done(row)
    finally:
        sweep(Path(out))
    results = Results(
        title,
        about,
        [Variant(one.name, one.graph.digest, dict(one.swaps), list(one.overrides)) for one in choices],
        [Recording(item.id, str(item.path), rows[item.id].seconds) for item in items],
        [metrics.METRICS[name].metric for name in work.metrics],
        [score for item in items for score in _scores(rows[item.id], choices)],
        work.stages,
    )
    write(results, Path(out))
    audio = {
        (score.recording, score.variant): work.file(item, score.variant)
        for item in items
        for score in rows[item.id].scores
        if not score.error
    }
    reference = {item.id: work.file(item, REFERENCE) for item in items if not rows[item.id].error}
    graphs = {one.name: FORMATS["svg"](one.graph) for one in choices}
    write_page(results, audio, reference, graphs, Path(out) / PAGE, assets)
    return results


def _scores(row: Compared, choices: Sequence[Choice]) -> Iterable[Score]:
    """Of a recording nothing came of, an error each."""
    return row.scores or [Score(row.id, choice.name, {}, row.error) for choice in choices]

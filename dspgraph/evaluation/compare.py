"""Variants of a pipeline side by side, on the same recordings: what each is worth, by number and by ear."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import product
from pathlib import Path

from dspgraph.diagram.build import FORMATS
from dspgraph.errors import DspgraphError, FileError, RequestError, UnknownName, describe_error, suggest
from dspgraph.evaluation import metrics
from dspgraph.evaluation.report import write as write_page
from dspgraph.evaluation.results import Recording, Results, Score, Variant, write
from dspgraph.graph import Graph
from dspgraph.io.arrays import SUFFIX as ARRAYS
from dspgraph.io.audio import AUDIO_SUFFIXES, AudioSource, has_file_rate
from dspgraph.pipeline.pipeline import Pipeline
from dspgraph.rendering.corpus import gather
from dspgraph.rendering.executors.serial import Serial
from dspgraph.rendering.item import Item
from dspgraph.rendering.job import Executor, check_digest
from dspgraph.rendering.ledger import Ledger, sweep
from dspgraph.rendering.render import Rendered, render_file
from dspgraph.rendering.system import check_system
from dspgraph.rendering.targets import check_targets, make_folder, make_inside
from dspgraph.streams import Array, Audio
from dspgraph.wiring.merge import merge

REFERENCE = "reference"
"""Where the recordings themselves are kept, at the rate and with the channels that the variants take."""

AUDIO, PAGE = "audio", "report.html"

LONGEST = 100
"""Letters of the name of a folder: a path in an override may have more than a system takes."""


@dataclass(frozen=True)
class Choice:
    """One graph to compare: what it is called, and how it came about."""

    name: str
    graph: Graph
    swaps: Mapping[str, str] = field(default_factory=dict)
    overrides: Sequence[str] = ()

    @property
    def input(self) -> Audio:
        """The stream of the one audio input."""
        if self.graph.audio_input:
            return self.graph.audio_input[1]
        found = ", ".join(f"{name}: {stream}" for name, stream in self.graph.inputs.items())
        raise RequestError(f"{self.name}: what is compared takes one audio input; found {found}")

    @property
    def output(self) -> str:
        """The output that is listened to: the one that is audio, or of several the one called as the input."""
        _, (name,) = self.input, self.graph.inputs
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
    swaps: slots that are the same in all. Raises as `pipeline.load` does, and RequestError for a choice that is none.
    """
    swaps, plugins = dict(swaps or {}), list(plugins)
    slots = Pipeline(pipeline, (), None, plugins).slots
    values = [_values(one) for one in overrides]
    several = any(len(each) > 1 for each in values)
    for slot in vary or ():
        if slot not in slots:
            raise UnknownName(f"{pipeline} has no slot '{slot}' to vary; {suggest(slot, slots)}")
        if slot in swaps:
            raise RequestError(f"the slot '{slot}' cannot be '{swaps[slot]}' in all and vary too: drop one of them")
    found = []
    for swap in _swaps(slots, swaps, vary if vary is not None else [] if several else None):
        for chosen in map(list, product(*values)):
            words = [*swap.values()] if len(slots) == 1 else [f"{slot}={name}" for slot, name in swap.items()]
            words += [one for one, each in zip(chosen, values, strict=True) if len(each) > 1]
            name = ", ".join(words) or Path(pipeline).stem
            try:
                graph = Pipeline(pipeline, chosen, {**swaps, **swap}, plugins).graph
            except DspgraphError as error:
                if all(variant == slots[slot][0] for slot, variant in swap.items()):
                    raise  # nothing was swapped that could be to blame
                others = [slot for slot in slots if slot not in (*swap, *swaps)]
                way = f"--vary {','.join(others)}" if others else " ".join(f"--swap {s}={slots[s][0]}" for s in swap)
                raise RequestError(
                    f"'{name}' cannot be compared: {error}; change that with -s, or leave {' and '.join(swap)} as it "
                    f"is with {way}"
                ) from error
            found.append(Choice(name, graph, {**swaps, **swap}, chosen))
    return found


def _swaps(
    slots: Mapping[str, Sequence[str]], fixed: Mapping[str, str], vary: Sequence[str] | None
) -> Iterator[dict[str, str]]:
    """Swaps to compare: all combinations of the slots that vary, or without any named each slot's, one at a time."""
    if vary is not None:
        for chosen in product(*(slots[slot] for slot in dict.fromkeys(vary))):
            yield dict(zip(dict.fromkeys(vary), chosen, strict=True))
        return
    free = {slot: names for slot, names in slots.items() if slot not in fixed}
    if len(free) != 1:
        yield {}
    for slot, names in free.items():
        yield from ({slot: name} for name in (names if len(free) == 1 else names[1:]))


def _values(override: str) -> list[str]:
    """An override for each value: they stand between commas that are in no bracket, and in no value in quotes."""
    key, equals, text = override.partition("=")
    parts, depth, quote = [""], 0, ""
    for letter in text:
        if quote:
            quote = "" if letter == quote else quote
        elif letter in "'\"" and not parts[-1].strip():
            quote = letter
        else:
            depth += (letter in "[{(") - (letter in "]})")
        if letter == "," and not depth and not quote:
            parts.append("")
        else:
            parts[-1] += letter
    return [f"{key}={part.strip()}" for part in parts] if equals and len(parts) > 1 else [override]


def audio_files(out: Path, names: Sequence[str], id: str) -> dict[str, Path]:
    """Where a recording is under each name: in a folder of that name, as far as every system takes it."""
    folders: dict[str, str] = {}
    for number, name in enumerate(names):
        plain = re.sub(r"[^\w=.+-]+", "_", name, flags=re.ASCII)[:LONGEST].strip("._") or "variant"
        while plain.lower() in {folder.lower() for folder in folders.values()}:
            plain += f"_{number}"
        folders[name] = plain
    return {name: out / AUDIO / folder / f"{id}.flac" for name, folder in folders.items()}


# ---- the work -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Compared:
    """What became of one recording in all variants."""

    id: str
    source: str
    seconds: float = 0.0
    scores: tuple[Score, ...] = ()
    notes: tuple[str, ...] = ()
    error: str = ""

    @property
    def errors(self) -> list[str]:
        """What went wrong, in all of it or in some variant."""
        return [self.error] if self.error else [f"{one.variant}: {one.error}" for one in self.scores if one.error]


@dataclass(frozen=True)
class Comparison:
    """Graphs that recordings go through, and the metrics that judge what comes out."""

    choices: tuple[Choice, ...]
    out: Path
    metrics: tuple[str, ...]

    def __post_init__(self) -> None:
        if not self.choices:
            raise RequestError("one variant or more are compared; found none")
        twice = [name for name, count in Counter(self.names).items() if count > 1]
        if twice:
            raise RequestError(
                f"what is compared has names of its own, other than '{REFERENCE}', the recording; found "
                f"{', '.join(twice)} twice: rename one"
            )
        least, most = metrics.RATES
        for choice in self.choices:
            for stream in (choice.input, choice.graph.outputs[choice.output]):
                assert isinstance(stream, Audio)
                if not (has_file_rate(stream) and least <= stream.rate <= most):
                    raise RequestError(
                        f"{choice.name}: what is compared has a whole number of samples per second, {least} to {most}; "
                        f"found {stream}"
                    )
        _ = self._together  # made here: whoever works elsewhere is held to these graphs

    @property
    def open_items(self) -> int:
        """The most recordings that are open at the same time."""
        return 1

    def check(self) -> None:
        """Raise RequestError where a graph would not give the same samples as where the comparison was made."""
        for whole, digest in self._together.values():
            check_digest(whole.digest, digest)

    def run(self, items: Iterable[Item]) -> Generator[Compared, None, None]:
        """Render each recording with all graphs, and score what comes out."""
        for item in items:
            yield self._row(item)

    def failed_result(self, item: Item, reason: str) -> Compared:
        """Return the result of a recording whose worker died, or whose time was up."""
        return Compared(item.id, str(item.path), error=f"{item.path}: {reason}")

    def file(self, item: Item, name: str) -> Path:
        """Where what a choice made of a recording is, or the recording itself, by its name among the choices."""
        return audio_files(self.out, self.names, item.id)[name]

    def forget(self, item: Item, names: Iterable[str]) -> None:
        """Take away what an earlier run made of a recording, where this one made nothing of it."""
        for path in (self.file(item, name) for name in names):
            if Path(os.path.realpath(path.parent)).is_relative_to(os.path.realpath(self.out)):
                with suppress(OSError):  # nothing shows it: what failed has its error in the results
                    path.unlink()

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
    def _reduced(self) -> dict[str, Graph]:
        """Every graph with the one output that is compared, `y`, and the recording as it takes it."""
        return {choice.name: _with_outputs(choice.graph, {"y": choice.output}) for choice in self.choices}

    @cached_property
    def _together(self) -> dict[tuple[str, ...], tuple[Graph, str]]:
        """Choices that take the same streams, in one graph, and its digest: what they have in common is done once."""
        groups: dict[tuple[object, ...], list[str]] = {}
        for choice in self.choices:
            groups.setdefault((tuple(choice.graph.inputs.items()), choice.graph.seed), []).append(choice.name)
        wholes = {tuple(names): merge([self._reduced[name] for name in names]) for names in groups.values()}
        return {names: (whole, whole.digest) for names, whole in wholes.items()}

    def _row(self, item: Item) -> Compared:
        stream = max((choice.input for choice in self.choices), key=lambda one: (one.rate, one.channels))
        plain = Graph({}, {}, {"x": stream}, {REFERENCE: "x"})
        kept = self._render(plain, item, {REFERENCE: REFERENCE})
        if kept.error:
            return Compared(item.id, str(item.path), error=kept.error)
        rows: dict[str, Rendered] = {}
        for names, (whole, _) in self._together.items():
            together = self._render(whole, item, {f"v{k}/y": name for k, name in enumerate(names)})
            for name in names:  # which of them was it?
                rows[name] = self._render(self._reduced[name], item, {"y": name}) if together.error else together
        notes = dict.fromkeys([*kept.notes, *(note for row in rows.values() for note in row.notes)])
        mono = Audio(stream.rate)  # what is measured is the mean of the channels
        try:
            heard = AudioSource(self.file(item, REFERENCE), mono).read()
        except FileError as error:
            return Compared(item.id, str(item.path), kept.audio_seconds, error=str(error))
        heard.flags.writeable = False  # all variants are measured against it
        scores = tuple(self._score(item, choice.name, rows[choice.name].error, heard, mono) for choice in self.choices)
        return Compared(item.id, str(item.path), kept.audio_seconds, scores, tuple(notes))

    def _render(self, graph: Graph, item: Item, names: Mapping[str, str]) -> Rendered:
        """Each output of a graph into the file of a choice; where it fails, what an earlier run made goes."""
        targets = {output: self.file(item, name) for output, name in names.items()}
        try:
            for path in targets.values():
                make_inside(self.out, path.parent)
            row = render_file(graph, item, targets)
        except FileError as error:
            row = Rendered(item.id, item.path, error=str(error))
        if row.error:
            self.forget(item, names.values())
        return replace(row, notes=tuple(_named(note, names) for note in row.notes))

    def _score(self, item: Item, name: str, error: str, reference: Array, stream: Audio) -> Score:
        if error:
            return Score(item.id, name, {}, error)
        try:
            degraded = AudioSource(self.file(item, name), stream).read()
            return Score(item.id, name, metrics.measure(reference, degraded, stream.rate, self.metrics))
        except Exception as failed:  # a package of somebody else's may be behind a metric
            return Score(item.id, name, {}, f"{item.path}: {describe_error(failed)}")


def _named(note: str, names: Mapping[str, str]) -> str:
    """What is said of an output, said of the choice it is of."""
    for output, name in names.items():
        note = note.replace(f"'{output}'", f"'{name}'")
    return note


def _with_outputs(graph: Graph, outputs: Mapping[str, str]) -> Graph:
    """The same graph with some of its outputs, under other names."""
    origins = {name: graph.origins[output] for name, output in outputs.items()}
    return graph.evolve(outputs=origins)


def compare(
    choices: Sequence[Choice],
    files: Iterable[str | Path],
    out: str | Path,
    title: str,
    about: str = "",
    names: Sequence[str] | None = None,
    *,
    executor: Executor = Serial(),  # noqa: B008 it has no state
    assets: bool = False,
    started: Callable[[int], None] = lambda due: None,
    done: Callable[[Compared], None] = lambda row: None,
) -> Results:
    """Render recordings with all choices, score what comes out, and write it all into the folder `out`.

    files: as `corpus.gather` takes them. names: of metrics, by default all there are. `audio/` gets what was rendered,
    ledger.jsonl what became of each recording, results.csv and results.json the scores, report.html the page to listen
    to, with sounds and pictures in it, or beside it with `assets`. A choice that fails for a recording is a score with
    its error; the others are there.
    `started` hears how many recordings there are, `done` sees each as it is ready. Raises RequestError, before anything
    is written, for choices and files that cannot be compared.
    """
    for name in names or ():
        if name not in metrics.METRICS:
            raise UnknownName(f"there is no metric '{name}'; {suggest(name, metrics.METRICS)}")
    work = Comparison(tuple(choices), Path(out), tuple(dict.fromkeys(names or metrics.METRICS)))
    items = gather(files, AUDIO_SUFFIXES, Path(out))
    for item in items:
        if item.path.suffix.lower() == ARRAYS:
            raise RequestError(f"what is compared is audio; found {item.path}: render the sound it was made from")
    check_targets(items, [{work.file(item, name) for name in work.names} for item in items])
    check_system()
    make_folder(Path(out))
    started(len(items))
    with Ledger(Path(out)) as ledger:
        rows = _all_rows(work, items, ledger, executor, done)
        results = _results(work, items, rows, title, about)
        write(results, Path(out))
        _write_page(work, items, rows, results, assets)
    return results


def _all_rows(
    work: Comparison, items: Sequence[Item], ledger: Ledger, executor: Executor, done: Callable[[Compared], None]
) -> dict[str, Compared]:
    """Every recording's row, each in the ledger as soon as it is known."""
    rows: dict[str, Compared] = {}
    inputs = {item.id: item for item in items}
    try:
        with closing(executor.run(work, items)) as found:
            for row in found:
                rows[row.id] = row
                failed = {"status": "failed", "error": "; ".join(row.errors)} if row.errors else {"status": "done"}
                ledger.append({"id": row.id, "source": row.source, "audio_seconds": row.seconds, **failed})
                done(row)
                if row.error:
                    work.forget(inputs[row.id], work.names)
    finally:
        sweep(work.out)
    return rows


def _results(work: Comparison, items: Sequence[Item], rows: Mapping[str, Compared], title: str, about: str) -> Results:
    return Results(
        title,
        about,
        [Variant(one.name, one.graph.digest, dict(one.swaps), list(one.overrides)) for one in work.choices],
        [Recording(item.id, str(item.path), rows[item.id].seconds) for item in items],
        [metrics.METRICS[name].metric for name in work.metrics],
        [score for item in items for score in _scores(rows[item.id], work.choices)],
        work.stages,
    )


def _write_page(
    work: Comparison, items: Sequence[Item], rows: Mapping[str, Compared], results: Results, assets: bool
) -> None:
    audio = {
        (score.recording, score.variant): work.file(item, score.variant)
        for item in items
        for score in rows[item.id].scores
        if not score.error
    }
    reference = {item.id: work.file(item, REFERENCE) for item in items if not rows[item.id].error}
    graphs = {one.name: FORMATS["svg"](one.graph) for one in work.choices}
    write_page(results, audio, reference, graphs, work.out / PAGE, assets)


def _scores(row: Compared, choices: Sequence[Choice]) -> Iterable[Score]:
    """Of a recording nothing came of, an error each."""
    return row.scores or [Score(row.id, choice.name, {}, row.error) for choice in choices]

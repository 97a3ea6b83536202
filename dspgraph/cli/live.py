"""The commands `dspgraph devices`, `dspgraph live` and `dspgraph play`, which use sound devices."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from dspgraph.cli.options import PATH, RealNumber, StrictCommand, WholeNumber, change_options, pipeline_options
from dspgraph.cli.output import echo, print_notes, print_tables
from dspgraph.errors import DspgraphError, LiveError, RequestError

if TYPE_CHECKING:
    from dspgraph.cli.live_control import LiveSession
    from dspgraph.graph import Graph
    from dspgraph.live.engine import Stats
    from dspgraph.live.live import Live
    from dspgraph.pipeline.pipeline import Pipeline

_LOOK = 0.1
"""Seconds between two looks at the lines of the standard input."""

_OUT = click.option(
    "--out",
    "outs",
    multiple=True,
    metavar="[OUTPUT=]DEVICE[:CHANNEL]",
    help="Device that plays: its name, a part of it, its number, or `speakers`. Repeatable, one per output.",
)


@click.command(cls=StrictCommand)
def devices() -> None:
    """List the sound devices, with channels, rate and latency."""
    from dspgraph.live.portaudio import NO_DEVICE, list_devices

    found = list_devices()
    if not found:
        raise LiveError(NO_DEVICE)
    rows = [
        [str(one.number), f"{one.name} ({one.api})", f"{one.inputs} in, {one.outputs} out", f"{one.rate:g} Hz",
         f"{1000 * one.latency:.3g} ms" if 0 < one.latency < 10 else "latency unknown"]
        for one in found
    ]  # fmt: skip
    print_tables({"devices": rows})


@click.command(cls=StrictCommand)
@pipeline_options
@click.option(
    "--in",
    "ins",
    multiple=True,
    metavar="[INPUT=]DEVICE[:CHANNEL]",
    help="Device that records: its name, a part of it, its number, or `mic`. Repeatable, one per input. INPUT=FILE "
    "plays a file again and again.",
)
@_OUT
@click.option("--quantum", type=RealNumber(min=0, min_open=True, max=1), default=0.01, show_default=True,
              metavar="SECONDS", help="Time between two looks at what is asked for.")  # fmt: skip
@click.option("--ahead", type=WholeNumber(1, 1000), default=2, show_default=True,
              help="Quanta that lie ready: more make gaps rarer, and the delay longer.")  # fmt: skip
@click.option("--latency", type=RealNumber(min=0), metavar="SECONDS",
              help="Latency of the graph. Default: that of PIPELINE; slower variants need more.")  # fmt: skip
@click.option("--for", "seconds", type=RealNumber(min=0, min_open=True), metavar="SECONDS", help="End after this time.")
@click.option("--record", type=PATH, metavar="FOLDER", help="Record the inputs, the outputs and the events.")
def live(
    pipeline: str,
    overrides: tuple[str, ...],
    swaps: dict[str, str],
    plugins: tuple[str, ...],
    ins: tuple[str, ...],
    outs: tuple[str, ...],
    quantum: float,
    ahead: int,
    latency: float | None,
    seconds: float | None,
    record: Path | None,
) -> None:
    """Run PIPELINE live, through sound devices.

    At a terminal, a view shows levels, load and gaps; keys choose variants and move controls. Otherwise lines of the
    standard input are commands: `swap SLOT=VARIANT`, `set CONTROL VALUE [over SECONDS]`, `play INPUT FILE`,
    `stop INPUT`, `quit`.

    `dspgraph render PIPELINE FOLDER/INPUT.wav --events FOLDER/events.jsonl` renders a recording again.
    """
    from dspgraph.cli.live_control import LiveSession
    from dspgraph.live.live import Live
    from dspgraph.pipeline.pipeline import Pipeline

    first = Pipeline(pipeline, overrides, swaps, plugins)
    graph = first.graph
    print_notes(graph)
    sources = _named(ins, _heard(graph), "--in")
    inputs = {name: _source(name, text) for name, text in sources.items()}
    where = _ways(outs, graph)
    played = [name for name in _heard(graph) if name not in inputs and len(_heard(graph)) > 1]
    chosen = _variants(first, pipeline, (overrides, swaps, plugins), latency)
    running = Live(
        graph, inputs, out=where, record=record, quantum=quantum, ahead=ahead, latency=latency, controls=first.controls,
        played=played, variants=[one for _, one in chosen[1:]],
    )  # fmt: skip
    _warn_of_feedback(running)
    with running as one:
        session = LiveSession(one, pipeline, (overrides, swaps, plugins), first.controls, chosen)
        _run(session, seconds)
    _print_end(one.stats, record)


@click.command(cls=StrictCommand)
@click.argument("file", type=PATH)
@click.argument("pipeline", required=False)
@change_options
@_OUT
@click.option("--loop", is_flag=True, help="Play again and again, until Ctrl-C.")
@click.option(
    "--from", "start", type=RealNumber(min=0), default=0.0, metavar="SECONDS", help="Begin there in the file."
)
@click.option("--speed", type=RealNumber(min=0, min_open=True, max=1024), default=1.0, show_default=True,
              help="Factor of the speed: 2 plays in half the time, an octave higher.")  # fmt: skip
def play(
    file: Path,
    pipeline: str | None,
    overrides: tuple[str, ...],
    swaps: dict[str, str],
    plugins: tuple[str, ...],
    outs: tuple[str, ...],
    loop: bool,
    start: float,
    speed: float,
) -> None:
    """Play FILE through a sound device, as it is or through PIPELINE."""
    from dspgraph.graph import Graph
    from dspgraph.io.decoding import Decoder
    from dspgraph.live.live import Live
    from dspgraph.live.ports import FileInput
    from dspgraph.pipeline.pipeline import Pipeline
    from dspgraph.streams import Audio

    controls: Mapping[str, float] = {}
    if pipeline is None:
        if overrides or swaps or plugins:
            raise click.UsageError("--set, --swap and --plugin change a pipeline: name one after FILE")
        decoder = Decoder(file)
        graph = Graph({}, {}, {"sound": Audio(decoder.rate, min(2, decoder.channels))}, {"out": "sound"})
    else:
        first = Pipeline(pipeline, overrides, swaps, plugins).for_file(file)
        graph, controls = first.graph, first.controls
        print_notes(graph)
    heard = _heard(graph)
    if len(heard) != 1:
        raise RequestError(f"a file is played into one audio input; the pipeline has {', '.join(heard) or 'none'}")
    source: dict[str, Any] = {heard[0]: FileInput(file, start=start, loops=None if loop else 1, speed=speed)}
    running = Live(graph, source, out=_ways(outs, graph), ahead=4, controls=controls)
    with running as one:
        one.wait(completed=heard[0])
        one.wait(one.stats.latency + 0.1)  # what has been heard is still on its way
    _print_end(one.stats, None)


def _run(session: LiveSession, seconds: float | None) -> None:
    """Serve a running live graph until it ends, the user ends it, or `seconds` seconds have passed (None: no limit).

    At a terminal, show the view; otherwise carry out the lines of the standard input. A line that fails is reported on
    stderr. The end of the standard input ends this only if there is no limit.
    """
    if sys.stdin.isatty() and sys.stdout.isatty():
        import curses

        from dspgraph.cli.live_view import run_view

        curses.wrapper(lambda screen: run_view(screen, session, seconds))
        return
    from dspgraph.cli.live_control import lines_of

    lines = lines_of(sys.stdin)
    end = time.monotonic() + seconds if seconds is not None else None
    about = session.live.form.about if session.live.form else ""
    echo(f"live: {about}; quantum {1000 * float(session.live.quantum):g} ms")
    while end is None or time.monotonic() < end:
        session.live.wait(_LOOK if end is None else max(0.0, min(_LOOK, end - time.monotonic())))
        if session.live.ended:
            return
        while (line := lines()) is not None:
            if line == "" and end is None:  # the end of the standard input
                return
            try:
                said = session.do(line)
            except DspgraphError as error:
                echo(f"dspgraph: {error}", err=True)
                continue
            if said is None:
                return
            if said:
                echo(said)


def _heard(graph: Graph) -> list[str]:
    """Return the names of the graph's audio inputs."""
    from dspgraph.streams import Audio

    return [name for name, stream in graph.inputs.items() if isinstance(stream, Audio)]


def _named(texts: Iterable[str], names: list[str], option: str) -> dict[str, str]:
    """Return name -> VALUE for texts NAME=VALUE; if only one name is allowed, any other text is a VALUE as a whole.

    names: the names that are allowed. option: the option of the command line, for errors. Raises RequestError for a
    text without an allowed name if there are several or none, and for a name that is given twice.
    """
    found: dict[str, str] = {}
    for text in texts:
        name, equals, what = text.partition("=")
        if not equals or name not in names:
            if len(names) != 1:
                raise RequestError(f"{option} {text}: there are {', '.join(names) or 'none'}: write NAME={text}")
            name, what = names[0], text
        if name in found:
            raise RequestError(f"{option} names '{name}' twice")
        found[name] = what
    return found


def _source(name: str, text: str) -> Any:
    from dspgraph.live.ports import DevicePort, FileInput

    if Path(text).is_file():
        return FileInput(text, loops=None)
    return DevicePort.parse("default" + text[3:] if text == "mic" or text.startswith("mic:") else text)


def _ways(outs: Iterable[str], graph: Graph) -> Any:
    from dspgraph.live.ports import DevicePort
    from dspgraph.streams import Audio

    names = [name for name, stream in graph.outputs.items() if isinstance(stream, Audio)]
    if not names:
        raise RequestError(f"a device plays audio; the pipeline gives {', '.join(map(str, graph.outputs.values()))}")
    given = _named(outs, names, "--out") or {names[0]: "default"}
    word = "speakers"
    return {
        name: DevicePort.parse("default" + text[len(word) :] if text.split(":")[0] == word else text)
        for name, text in given.items()
    }


def _variants(
    first: Pipeline, name: str, given: tuple[tuple[str, ...], dict[str, str], tuple[str, ...]], latency: float | None
) -> list[tuple[dict[str, str], Graph]]:
    """Return the graphs to which a live graph can be swapped, as pairs (slot -> variant, graph).

    The mapping has only the slots that are swapped. The first pair is the graph at the beginning. The others differ
    from it in one slot, need no more than `latency`, and have the same inputs and outputs. A note on stderr names the
    variants that need more latency. Variants that cannot be loaded or cannot run live are left out without a note.

    first: the pipeline at the beginning; name: its name or path. given: its overrides, swaps and plugins. latency: of
    the live graph, in seconds; None: the latency of the first graph.
    """
    from dspgraph.live.performance import finite_latency
    from dspgraph.pipeline.pipeline import Pipeline

    overrides, swaps, plugins = given
    most = finite_latency(first.graph) if latency is None else latency
    found, slow = [(dict(swaps), first.graph)], []
    for slot, choices in first.slots.items():
        for choice in choices:
            if choice == swaps.get(slot, choices[0]):
                continue
            try:
                graph = Pipeline(name, overrides, {**swaps, slot: choice}, plugins).graph
                own = finite_latency(graph)
            except DspgraphError:
                continue  # it needs weights, or the whole signal: who asks for it is told
            if own > most:
                slow.append(f"{slot}={choice} ({float(own):.3g})")
            elif (graph.inputs, graph.outputs) == (first.graph.inputs, first.graph.outputs):
                found.append(({**swaps, slot: choice}, graph))
    if slow:
        echo(f"note: some variants need more latency: --latency SECONDS, for {', '.join(slow)}", err=True)
    return found


def _warn_of_feedback(running: Live) -> None:
    from dspgraph.live.ports import DevicePort

    ways = [*running.setup.inputs.values(), *running.setup.outputs.values()]
    if sum(isinstance(port, DevicePort) and port == DevicePort() for port in ways) > 1:
        echo("note: a microphone hears the loudspeakers: use headphones, or it howls", err=True)


def _print_end(stats: Stats, record: Path | None) -> None:
    late = f"{stats.silent} samples of output were late" if stats.silent else "no gap"
    lost = f", {stats.lost} samples of input were lost" if stats.lost else ""
    if stats.drift is not None:
        lost += f", the clock of the input is faster by {stats.drift:.1f} millionths"
    took = f"{1000 * stats.mean:.2g} ms, {1000 * stats.worst:.2g} ms at worst"
    echo(f"{stats.seconds:.2f} s, {late}{lost}; a quantum of {1000 * stats.quantum:g} ms took {took}; {stats.priority}")
    if record is not None:
        echo(str(record))

"""The command `notes`."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import click

from dspgraph.cli.options import PATH, RealNumber, StrictCommand, WholeNumber, change_options

PIPELINE = "gansynth_notes"
"""The shipped pipeline that makes notes."""


@click.command(cls=StrictCommand)
@click.argument("score")
@click.option("-o", "--out", required=True, help="Audio file for the result: .wav, .flac or .ogg.", type=PATH)
@click.option("--pipeline", default=PIPELINE, show_default=True, help="Pipeline that makes the sounds of notes.")
@change_options
@click.option("--seed", type=WholeNumber(0, 2**64 - 1), default=0, show_default=True, help="Seed of the timbres.")
@click.option(
    "--seconds",
    type=RealNumber(0.01, 60),
    help="How long the notes between two commas last, in seconds; by default 1, or less if the sounds are shorter.",
)
@click.option(
    "--change",
    type=RealNumber(0.01, 3600),
    default=4.0,
    show_default=True,
    help="Seconds from one timbre to the next. A timbre is a random latent vector; notes in between mix two timbres.",
)
def notes(
    score: str,
    out: Path,
    pipeline: str,
    overrides: tuple[str, ...],
    swaps: dict[str, str],
    plugins: tuple[Path, ...],
    seed: int,
    seconds: float | None,
    change: float,
) -> None:
    """Play SCORE, a text or a MIDI file, and write the sound.

    SCORE is a text such as "C4 E4 G4", a chord; "C4, D4, E4", three notes one after the other; or the path of a MIDI
    file (.mid), which needs `pip install 'dspgraph[midi]'`. A note is a letter, then # or b if needed, then the octave;
    C4 is middle C.

    A pipeline makes the sound of each note. The default one has weights of its own, for notes from C3 to C6 that sound
    for up to a second; -s weights=FILE gives it others.
    """
    from dspgraph.io.audio import AudioSink
    from dspgraph.notes.play import NoteGraph, play
    from dspgraph.notes.score import MIDI_SUFFIXES, read_midi, read_score
    from dspgraph.pipeline.pipeline import load

    say = partial(click.echo, err=True)
    graph = NoteGraph(load(pipeline, overrides, swaps, plugins))
    if Path(score).suffix.lower() in MIDI_SUFFIXES:
        scored, left_out = read_midi(Path(score))
    else:
        scored, left_out = read_score(score, graph.usual if seconds is None else seconds), []
    for line in left_out:
        say(f"note: {line}")
    with AudioSink(out, graph.audio) as sink:  # a file that cannot be written is refused before the notes are made
        samples = play(scored, graph, seed, change, lambda line: say(f"note: {line}"))
        sink.write(samples.astype(graph.audio.dtype))
    click.echo(out)

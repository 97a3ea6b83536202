"""Commands for a live graph, which a person gives as lines of text or by keys."""

from __future__ import annotations

import shlex
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import IO

from dspgraph.errors import ParameterError, RequestError
from dspgraph.graph import Graph
from dspgraph.live.live import Live
from dspgraph.live.ports import FileInput
from dspgraph.pipeline.overrides import swap_pairs
from dspgraph.pipeline.pipeline import Pipeline
from dspgraph.shown import shown
from dspgraph.streams import to_fraction

_WORDS = "swap SLOT=VARIANT, set CONTROL VALUE [over SECONDS], play INPUT FILE, stop INPUT, quit"


class LiveSession:
    """A running live graph of a pipeline, and its present variants and controls.

    pipeline: its name or path. given: overrides, swaps and plugins at the beginning. variants: pairs (slot -> variant,
    graph), the graph of the beginning first; the keys 1 to 9 select the first nine. The mapping has only the slots that
    are swapped. controls: name -> value at the beginning.
    """

    def __init__(
        self,
        live: Live,
        pipeline: str,
        given: tuple[tuple[str, ...], dict[str, str], tuple[str, ...]],
        controls: Mapping[str, float],
        variants: Sequence[tuple[dict[str, str], Graph]],
    ) -> None:
        self.live, self.pipeline = live, pipeline
        self.overrides, self.swaps, self.plugins = given[0], dict(given[1]), given[2]
        self.controls = dict(controls)
        self.variants = list(variants)

    def do(self, line: str) -> str | None:
        """Carry out a line such as `swap SLOT=VARIANT`. Return what was done, in words, or None for `quit`.

        A blank line does nothing, and gives "". Raises RequestError for a line that is not a command, and the
        DspgraphError of a command that fails.
        """
        try:
            words = shlex.split(line)
        except ValueError as error:
            raise RequestError(f"{shown(line)}: {error}") from None
        match words:
            case []:
                return ""
            case ["quit"]:
                return None
            case ["swap", *pairs] if pairs:
                return self.swap(swap_pairs(pairs))
            case ["set", name, value]:
                return self.move(name, value)
            case ["set", name, value, "over", seconds]:
                return self.move(name, value, seconds)
            case ["play", name, file]:
                event = self.live.play(name, FileInput(Path(file)))
                return f"{_at(event.at)}: play {name} {file}"
            case ["stop", name]:
                return f"{_at(self.live.stop(name).at)}: stop {name}"
        raise RequestError(f"{shown(line)} is no command; there are: {_WORDS}")

    def swap(self, pairs: Mapping[str, str]) -> str:
        """Swap some slots, slot -> variant; other slots keep their variants. Return what was done, in words."""
        swaps = {**self.swaps, **pairs}
        known = (graph for made, graph in self.variants if made == swaps)
        graph = next(known, None) or Pipeline(self.pipeline, self.overrides, swaps, self.plugins).graph
        event = self.live.swap(graph)
        self.swaps = swaps
        return f"{_at(event.at)}: swap {described(pairs)}"

    def choose(self, number: int) -> str:
        """Swap to the graph `variants[number]`, with its variants in all slots. Return what was done, in words."""
        swaps, graph = self.variants[number]
        event = self.live.swap(graph)
        self.swaps = dict(swaps)
        return f"{_at(event.at)}: {described(swaps)}"

    def move(self, name: str, value: str | float, seconds: str | None = None) -> str:
        """Move a control to a value, in `seconds` or, by default, in 0.02 s. Return what was done, in words.

        Raises ParameterError for a text that is not a number, and for a number that is too large.
        """
        try:
            number = float(to_fraction(value))
        except OverflowError:
            raise ParameterError(f"set {name}: {shown(value)} is too large") from None
        event = self.live.set(name, number) if seconds is None else self.live.set(name, number, seconds)
        self.controls[name] = number
        return f"{_at(event.at)}: set {name} {number:g}"


def described(swaps: Mapping[str, str]) -> str:
    """Return swaps, slot -> variant, as text, such as "excitation=whisper"; without swaps "as it is in the file"."""
    return " ".join(f"{slot}={variant}" for slot, variant in swaps.items()) or "as it is in the file"


def _at(seconds: object) -> str:
    return f"{float(seconds):.3f} s"  # type: ignore[arg-type]  # events that were added have a time


def lines_of(stream: IO[str]) -> Callable[[], str | None]:
    """Return a function that gives the next line of a stream without waiting.

    A thread reads the stream. The function returns None if no line has come yet, and "" once at the end. Blank lines,
    and spaces at the ends of a line, are left out.
    """
    queue: SimpleQueue[str] = SimpleQueue()

    def read() -> None:
        for line in stream:
            if line.strip():
                queue.put(line.strip())
        queue.put("")

    threading.Thread(target=read, name="lines", daemon=True).start()

    def take() -> str | None:
        try:
            return queue.get_nowait()
        except Empty:
            return None

    return take

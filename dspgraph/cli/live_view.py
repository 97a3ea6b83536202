"""The view of a live graph at a terminal: levels, load, gaps, and keys for variants and controls."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from typing import Any

from dspgraph.cli.live_control import LiveSession, described
from dspgraph.errors import DspgraphError
from dspgraph.live.engine import Stats

_LOOK = 0.1
"""Seconds between two pictures. After a key is pressed, the next picture is drawn at once."""

_FLOOR = -60.0
"""The level in dB at which a bar is empty."""

_STEP = 0.1
"""The step by which the keys + and - move a control."""

_UP, _DOWN = 259, 258  # curses.KEY_UP and KEY_DOWN


class View:
    """The text that a terminal shows for a live graph, and the effects of the keys. session: the live graph."""

    def __init__(self, session: LiveSession) -> None:
        self.session = session
        self.chosen = 0
        """The number of the control that the keys move."""
        self.said = ""
        self.ended = False

    def press(self, key: int) -> None:
        """Do what a key stands for: end the view, swap to a variant, or choose or move a control.

        key: the number that curses gives it. Other keys do nothing. An error becomes the last line of the view.
        """
        controls = list(self.session.controls)
        try:
            if key in (ord("q"), 27):
                self.ended = True
            elif ord("1") <= key <= ord("9") and key - ord("1") < len(self.session.variants):
                self.said = self.session.choose(key - ord("1"))
            elif key in (ord("\t"), _UP, _DOWN) and controls:
                self.chosen = (self.chosen + (-1 if key == _UP else 1)) % len(controls)
            elif key in (ord("+"), ord("="), ord("-")) and controls:
                name = controls[self.chosen]
                value = self.session.controls[name] + (-_STEP if key == ord("-") else _STEP)
                self.said = self.session.move(name, round(value, 6))
        except DspgraphError as error:
            self.said = str(error).splitlines()[0]

    def lines(self, stats: Stats, width: int) -> list[str]:
        """Return the lines of the view, of fewer than `width` characters each. stats: the counts to show."""
        form = self.session.live.form
        load = stats.mean / stats.quantum if stats.quantum else 0.0
        gaps = f"gaps {len(stats.gaps)} ({stats.silent} samples)   lost {stats.lost}"
        lines = [
            f"dspgraph live: {self.session.pipeline}   {form.about if form else ''}",
            f"{stats.seconds:8.1f} s   quantum {1000 * stats.quantum:g} ms   latency {1000 * stats.latency:.0f} ms and "
            "that of the device",
            f"load {100 * load:5.1f} %   worst {1000 * stats.worst:.2f} ms   {gaps}   {stats.priority}",
            "",
            *self._bars(stats.levels, width),
            "",
        ]
        for number, (swaps, _) in enumerate(self.session.variants[:9], start=1):
            lines.append(f" {'>' if swaps == self.session.swaps else ' '} {number}  {described(swaps)}")
        for number, (name, value) in enumerate(self.session.controls.items()):
            lines.append(f" {'>' if number == self.chosen else ' '} {name} = {value:g}")
        keys = ["1-9 variant"] if len(self.session.variants) > 1 else []
        keys += ["tab control", "+ - move it"] if self.session.controls else []
        lines += ["", ", ".join([*keys, "q quit"]), self.said]
        return [line[: max(0, width - 1)] for line in lines]

    def _bars(self, levels: Mapping[str, float], width: int) -> list[str]:
        """Return a line for each input and output, with its level in dB relative to full scale, and as a bar.

        A level below -60 dB is shown as -60 dB. levels: name of an input, or "out:" and the name of an output -> the
        largest magnitude of its samples. width: the width of the terminal in characters.
        """
        return [
            f"{name.removeprefix('out:') + (' ->' if name.startswith('out:') else ' <-'):>16} {_db(level):6.1f} dB "
            f"{'#' * round(max(0, width - 30) * max(0.0, min(1.0, 1 - _db(level) / _FLOOR)))}"
            for name, level in sorted(levels.items())
        ]


def _db(level: float) -> float:
    return max(_FLOOR, 20 * math.log10(level)) if level > 0 else _FLOOR


def run_view(screen: Any, session: LiveSession, seconds: float | None) -> None:
    """Show the view until the user ends it, the live graph ends, or some seconds have passed.

    screen: the screen of curses. seconds: the longest time; None: no limit.
    """
    view = View(session)
    screen.timeout(int(1000 * _LOOK))
    end = time.monotonic() + seconds if seconds is not None else math.inf
    while not view.ended and time.monotonic() < end and not session.live.ended:
        height, width = screen.getmaxyx()
        screen.erase()
        for row, line in enumerate(view.lines(session.live.stats, width)[: height - 1]):
            screen.addstr(row, 0, line)
        screen.refresh()
        if (key := screen.getch()) >= 0:
            view.press(key)
        session.live.wait(0)

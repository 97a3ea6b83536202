"""A sound card for tests: a JACK server with two cables and no hardware, and a program that plays and records on it.

Every sample that is played into a cable comes back from it. Cable 1 is the microphone of the graph under test, and
cable 2 its loudspeaker: the program plays into cable 1 and records from cable 2.
"""

import os
import shutil
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dspgraph import Array
from dspgraph.live.portaudio import PortAudio

PERIOD = 160
PATIENCE = 30.0
"""Seconds after which the server must be there. It takes 0.4 to 0.9 s on a machine without other work."""


@contextmanager
def jack_server(log: Path, rate: int = 16000, period: int = PERIOD) -> Iterator["subprocess.Popen[bytes]"]:
    """Return a context in which a JACK server runs, and in which programs find it by environment variables.

    `with jack_server(...) as server` gives the process of the server. log: the file for its messages. rate: Hz. period:
    the samples of a block. Without jackd, the test is skipped; in CI it fails.
    """
    if shutil.which("jackd") is None:
        message = "jackd is not installed: apt install jackd2 libportaudio2"
        if os.environ.get("CI") == "true":
            pytest.fail(message)
        pytest.skip(message)
    # A new name each time: a server that was killed leaves its name behind.
    name = f"dspgraph{os.getpid()}{time.monotonic_ns() % 10**6}"
    given = {"JACK_NO_START_SERVER": "1", "JACK_NO_AUDIO_RESERVATION": "1", "JACK_DEFAULT_SERVER": name}
    before = {key: os.environ.get(key) for key in given}
    os.environ.update(given)
    # setpriv: the server ends with this process, even if that is killed.
    command = ["setpriv", "--pdeathsig", "TERM",
               "jackd", "-n", name, "--realtime", "-P", "60", "--sync", "-t", "2000", "-L", "2", "-d", "dummy",
               "-r", str(rate), "-p", str(period), "-C", "0", "-P", "0"]  # fmt: skip
    try:
        with log.open("wb") as out:
            server = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT)
        try:
            _wait_for_ports(server, log)
            yield server
        finally:
            server.terminate()
            try:
                server.wait(20)
            except subprocess.TimeoutExpired:
                server.kill()
                server.wait()
    finally:
        for key, value in before.items():
            if value is None:
                del os.environ[key]
            else:
                os.environ[key] = value


def _wait_for_ports(server: "subprocess.Popen[bytes]", log: Path) -> None:
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end and server.poll() is None:
        ports = subprocess.run(["jack_lsp"], capture_output=True, text=True, check=False).stdout
        if "loopback:playback_2" in ports:
            return
        time.sleep(0.05)
    pytest.fail(f"jackd did not come up: {log.read_text()[-500:]}")


class TwoStreams(PortAudio):
    """The devices of a JACK server, opened as if each had a clock of its own, although they share one clock."""

    def _two_clocks(self) -> bool:
        return True


class Card:
    """A JACK client that plays a signal into cable 1 and records cable 2, sample for sample; `take` runs it once.

    It runs in threads of this process, and must be made and closed within `jack_server`.
    """

    def __init__(self) -> None:
        import jack

        self.client: Any = jack.Client("card", no_start_server=True)
        self.out = self.client.outports.register("out")
        self.inp = self.client.inports.register("in")
        self.client.set_process_callback(self._process)
        self._x = self._y = np.zeros(0, np.float32)
        self._at = 0
        self._done = threading.Event()
        self._done.set()
        self.client.activate()
        self.client.connect(self.out, "loopback:playback_1")
        self.client.connect("loopback:capture_2", self.inp)

    def _process(self, frames: int) -> None:
        out = self.out.get_array()
        out[:] = 0
        if self._done.is_set():
            return
        at, n = self._at, min(frames, len(self._x) - self._at)
        out[:n] = self._x[at : at + n]
        self._y[at : at + n] = self.inp.get_array()[:n]
        self._at += n
        if self._at == len(self._x):
            self._done.set()

    def take(self, x: Array) -> Array:
        """Play x, [n], into cable 1 in real time; return the samples that cable 2 gives back meanwhile, [n] float32.

        Raises AssertionError if it takes a minute longer than n samples at 16 kHz.
        """
        self._x = x.astype(np.float32)
        self._y, self._at = np.zeros(len(x), np.float32), 0
        self._done.clear()
        assert self._done.wait(len(x) / 16000 + 60)
        return self._y

    def close(self) -> None:
        """Disconnect from the JACK server."""
        self.client.deactivate()
        self.client.close()

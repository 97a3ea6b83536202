"""The fuzz program: it finds faults, and a small run with a fixed seed finds none in dspgraph."""

import subprocess
import sys
from pathlib import Path

import pytest

from helpers.paths import ROOT
from system.fuzz import MEMORY, Outcome, fault_of

RENDER = ["render", "x", "--log-json"]

FAULTS: dict[str, tuple[Outcome | str, str]] = {
    "a hang": ("hang (more than 10 s)", "hang"),
    "an exception that escapes": (Outcome(None, "", "", 0), "traceback"),
    "a traceback that is printed": (Outcome(1, "", "Traceback (most recent call last):\n", 0), "traceback"),
    "an exit code of no meaning": (Outcome(120, "", "", 0), "traceback"),
    "too much memory": (Outcome(0, "", "", MEMORY + 1), "memory"),
    "a long message": (Outcome(1, "", f"dspgraph: {'x' * 30_000}", 0), "long"),
    "a title for the terminal": (Outcome(1, "", "dspgraph: \x1b]0;x", 0), "control"),
    "a print of a library among JSON": (Outcome(1, "Error 1 : 7F\n", "", 0), "foreign line on stdout"),
    "a print of a library beside a message": (
        Outcome(1, "", "a.c:7: warning\nfailed: x\n", 0),
        "foreign line on stderr",
    ),
}


@pytest.mark.parametrize("what", FAULTS)
def test_a_fault_is_seen(tmp_path: Path, what: str) -> None:
    found, fault = FAULTS[what]
    assert fault_of("wav", RENDER, found, tmp_path).startswith(fault)


def test_an_unfinished_file_is_a_fault_and_a_refusal_is_none(tmp_path: Path) -> None:
    refused = Outcome(1, "{}\n", "failed: x.wav is truncated\ndspgraph: 1 of 1 files failed\n", MEMORY // 2)
    assert fault_of("wav", RENDER, refused, tmp_path) == ""
    (tmp_path / ".0123456789abcdef.part").touch()
    assert fault_of("wav", RENDER, refused, tmp_path).startswith("unfinished file")


@pytest.mark.slow
@pytest.mark.process
def test_three_hundred_damaged_files_show_no_fault(tmp_path: Path) -> None:
    line = [
        sys.executable,
        str(ROOT / "tests" / "system" / "fuzz.py"),
        "--inputs",
        "300",
        "--keep",
        str(tmp_path / "kept"),
    ]
    done = subprocess.run(line, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "300 inputs in" in done.stdout and ", 0 faults" in done.stdout

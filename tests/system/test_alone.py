"""Import of modules by one process at a time."""

import fcntl
import sys
import threading
from pathlib import Path

import pytest

from helpers.alone import LOCK, import_alone


def test_an_import_waits_for_that_of_another_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`import_alone` imports a module only after another holder of the lock has released it.

    A second lock of the file stands for the other process: locks of one process exclude each other too.
    """
    (tmp_path / "imported_alone.py").write_text("")
    monkeypatch.syspath_prepend(str(tmp_path))
    with open(LOCK, "ab") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        waiting = threading.Thread(target=import_alone, args=[["imported_alone"]])
        waiting.start()
        waiting.join(0.2)
        assert waiting.is_alive()
        assert "imported_alone" not in sys.modules
    waiting.join(60)
    assert sys.modules.pop("imported_alone")

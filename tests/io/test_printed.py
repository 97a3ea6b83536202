"""Text that C libraries print is caught; text that Python prints is not."""

import ctypes
import os
import sys
import threading

import pytest

from dspgraph.io.printed import catch_printed

libc = ctypes.CDLL(None)


def shout(text: bytes, stream: str = "stderr") -> None:
    libc.fputs(text, ctypes.c_void_p.in_dll(libc, stream))


def test_text_of_a_c_library_is_caught_and_nothing_is_printed(capfd: pytest.CaptureFixture[str]) -> None:
    with catch_printed() as printed:
        shout(b"warning: a\n")
        shout(b"error: b\n", "stdout")
        libc.puts(b"c")
    assert printed.text == "warning: a\nerror: b\nc\n"
    with catch_printed() as printed:
        pass
    assert printed.text == ""
    libc.fflush(None)
    assert capfd.readouterr() == ("", "")


def test_more_text_than_is_kept_is_cut(capfd: pytest.CaptureFixture[str]) -> None:
    with catch_printed() as printed:
        for _ in range(2000):
            shout(b"a line of a decoder that has a lot to say\n")
    assert 1000 < len(printed.text) <= 4096
    with catch_printed() as printed:
        shout(b"again\n")
    assert printed.text == "again\n"
    assert capfd.readouterr() == ("", "")


def test_text_of_python_is_not_caught(capfd: pytest.CaptureFixture[str]) -> None:
    with catch_printed() as printed:
        print("out")
        print("err", file=sys.stderr)
        os.write(2, b"low\n")
        thread = threading.Thread(target=lambda: os.write(1, b"thread\n"))
        thread.start()
        thread.join()
    assert printed.text == ""
    sys.stdout.flush()
    out, err = capfd.readouterr()
    assert set(out.split()) == {"out", "thread"}
    assert set(err.split()) == {"err", "low"}


def test_an_error_inside_gives_the_streams_back(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ValueError, match="inside"), catch_printed():
        raise ValueError("inside")
    shout(b"outside\n")
    libc.fflush(None)
    assert capfd.readouterr().err == "outside\n"

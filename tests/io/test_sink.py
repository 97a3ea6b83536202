"""Sinks: a file is closed once and then placed; after a failure nothing is left."""

from pathlib import Path

import pytest

from dspgraph.io.sink import Sink


class Lines(Sink):
    """A sink that writes its `lines` when it is finished. `calls`: "finish" and "release", in the order of calls."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.lines: list[str] = []
        self.calls: list[str] = []

    def _finish(self) -> None:
        self.calls.append("finish")
        self._file.temporary.write_text("\n".join(self.lines))

    def _release(self) -> None:
        self.calls.append("release")


def test_leaving_the_with_finishes_places_and_releases(tmp_path: Path) -> None:
    with Lines(tmp_path / "a") as sink:
        sink.lines += ["one", "two"]
    assert (tmp_path / "a").read_text() == "one\ntwo"
    assert sink.calls == ["finish", "release"]
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_a_closed_file_is_finished_once_and_has_no_name_before_it_is_placed(tmp_path: Path) -> None:
    with Lines(tmp_path / "a") as sink:
        sink.close()
        sink.close()
        assert not (tmp_path / "a").exists()
    assert sink.calls == ["finish", "release"]
    assert (tmp_path / "a").exists()


def test_after_an_error_nothing_is_left(tmp_path: Path) -> None:
    def interrupted() -> None:
        with Lines(tmp_path / "a") as sink:
            sink.close()
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert list(tmp_path.iterdir()) == []

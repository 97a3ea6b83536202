"""Positions in Ogg streams: no sample is lost where positions are wrong. ffmpeg is the reference."""

import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
from numpy.testing import assert_allclose, assert_array_equal

from dspgraph import Audio
from dspgraph.io.audio import AudioSource
from dspgraph.io.ogg import ENDS, HEAD, Page, page_sum, pages
from dspgraph.testing import check_file
from helpers.audio_files import by_ffmpeg, by_libsndfile, decoded_by_ffmpeg, needs_ffmpeg, run_ffmpeg
from helpers.speech import speech

IN_THE_MIDDLE = "it begins in the middle of a stream"
WRONG = "its positions do not count its samples, all samples were read"
CLOSE = {"vorbis": 2e-6, "opus": 5e-4}
"""Codec -> the largest difference to ffmpeg: decoders of Vorbis agree, decoders of Opus differ by some 16-bit steps."""


def split(path: Path) -> list[Page]:
    with path.open("rb") as file:
        return list(pages(path, file, 0))


def changed(page: Page, position: int | None = None, flags: int | None = None, number: int | None = None) -> Page:
    """Return a copy of a page whose bytes, `content`, have other values, if given, and the check sum that fits them.

    The other fields of the copy, such as `position`, keep the old values. position: the number of samples up to the end
    of the page; flags: the flags of the page; number: its number.
    """
    content = bytearray(page.content)
    if position is not None:
        content[6:14] = position.to_bytes(8, "little")
    if flags is not None:
        content[5] = flags
    if number is not None:
        content[18:22] = number.to_bytes(4, "little")
    content[22:26] = page_sum(content).to_bytes(4, "little")
    return page._replace(content=bytes(content))


def moved(sound: list[Page], by: int) -> list[Page]:
    return [changed(page, page.position + by) for page in sound]


def empty(page: Page, number: int) -> Page:
    """Return a page without a packet, with the number `number` and the position of `page`, that ends its stream."""
    return changed(page._replace(content=page.content[: HEAD - 1] + b"\0"), flags=ENDS, number=number)


def first_left_out(sound: list[Page]) -> list[Page]:
    return sound[1:]


def first_left_out_and_numbered_anew(sound: list[Page]) -> list[Page]:
    return [changed(page, number=k + 2) for k, page in enumerate(sound[1:])]


def late(sound: list[Page]) -> list[Page]:
    return moved(sound, 480_000)


def jumping(sound: list[Page]) -> list[Page]:
    return [*sound[:2], *moved(sound[2:], 4800)]


def stepping_back(sound: list[Page]) -> list[Page]:
    return [*sound[:2], *moved(sound[2:], -480)]


def early(sound: list[Page]) -> list[Page]:
    return moved(sound, -500)


def ended_by_an_empty_page(sound: list[Page]) -> list[Page]:
    last = changed(sound[-1], flags=0)
    return [*sound[:-1], last, empty(last, len(sound) + 2)]


def cut_and_ended_by_an_empty_page(sound: list[Page]) -> list[Page]:
    return [*sound[:2], empty(sound[1], 4)]


CHANGES: dict[Callable[[list[Page]], list[Page]], list[str]] = {
    first_left_out: [IN_THE_MIDDLE],
    first_left_out_and_numbered_anew: [IN_THE_MIDDLE],
    late: [IN_THE_MIDDLE],
    jumping: [WRONG],
    stepping_back: [WRONG],
    early: [WRONG],
    ended_by_an_empty_page: [WRONG],  # the page before it has padding, which only the last page may have
    cut_and_ended_by_an_empty_page: [],
}
"""A change of the pages with sound -> the notes about the changed file."""


def write(path: Path, source: Path, change: Callable[[list[Page]], list[Page]]) -> Path:
    content = split(source)
    heads = next(k for k, page in enumerate(content) if page.position > 0)
    path.write_bytes(b"".join(page.content for page in [*content[:heads], *change(content[heads:])]))
    return path


@needs_ffmpeg
@pytest.mark.parametrize("kind", CLOSE)
@pytest.mark.parametrize("change", CHANGES)
def test_all_samples_are_read_and_it_is_said(
    tmp_path: Path, kind: str, change: Callable[[list[Page]], list[Page]]
) -> None:
    source = by_ffmpeg(tmp_path, kind, np.tile(speech(), 3)[:200000], 48000)
    path = write(tmp_path / "v.ogg", source, change)
    opened = AudioSource(path, Audio(48000))
    assert opened.conversions == CHANGES[change]
    expected = decoded_by_ffmpeg(path)
    assert opened.length == len(expected)
    assert_allclose(opened.read(), expected, atol=CLOSE[kind])
    check_file(path, parts=3)


@pytest.mark.parametrize("kind", ["vorbis", "opus"])
@pytest.mark.parametrize("n", [1, 100, 3000, 16000, 50000])
def test_positions_that_are_right_are_left_as_they_are(tmp_path: Path, kind: str, n: int) -> None:
    source = AudioSource(by_libsndfile(tmp_path / "v.ogg", kind, speech()[:n]), Audio(16000))
    assert source.conversions == []
    assert source.length == n


@pytest.mark.parametrize("kind", ["vorbis", "opus"])
def test_an_empty_last_page_changes_no_sample(tmp_path: Path, kind: str) -> None:
    source = by_libsndfile(tmp_path / "v.ogg", kind, np.tile(speech(), 3)[:100_000])
    whole = AudioSource(source, Audio(16000)).read()
    cut = AudioSource(write(tmp_path / "cut.ogg", source, cut_and_ended_by_an_empty_page), Audio(16000)).read()
    assert_array_equal(cut, whole[: len(cut)])
    assert len(cut) > 16000


def test_a_picture_among_the_comments_takes_no_time(tmp_path: Path) -> None:
    """A picture of 6 MB is passed over in less than 2 s of processor time.

    It is one packet of about 23,500 segments on 93 pages.
    """
    source = by_libsndfile(tmp_path / "v.opus", "opus", speech()[:16000])
    head, _, *sound = split(source)
    picture = b"METADATA_BLOCK_PICTURE=" + b"A" * 6_000_000
    packet = b"OpusTags\0\0\0\0\1\0\0\0" + len(picture).to_bytes(4, "little") + picture
    sizes = [255] * (len(packet) // 255) + [len(packet) % 255]
    comments = []
    for k in range(0, len(sizes), 255):
        some = sizes[k : k + 255]
        lacing = bytes((len(some), *some))
        content = head.content[: HEAD - 1] + lacing + packet[255 * k :][: sum(some)]
        ends = k + 255 >= len(sizes)
        comments.append(changed(Page(*head[:5], content), 0 if ends else 2**64 - 1, flags=k > 0, number=k // 255 + 1))
    numbered = [changed(page, number=len(comments) + 1 + k) for k, page in enumerate(sound)]
    source.write_bytes(b"".join(page.content for page in [head, *comments, *numbered]))
    begin = time.process_time()
    opened = AudioSource(source, Audio(16000))
    assert time.process_time() - begin < 2  # 0.1 s was measured
    assert (opened.length, opened.conversions) == (16000, [])


@needs_ffmpeg
@pytest.mark.parametrize("duration", [2.5, 5, 10, 20, 40, 60, 120])
@pytest.mark.parametrize("application", ["voip", "audio", "lowdelay"])
def test_opus_frames_of_all_lengths_are_counted(tmp_path: Path, duration: float, application: str) -> None:
    soundfile.write(tmp_path / "v.wav", speech()[:16000], 16000)
    options = ("-c:a", "libopus", "-frame_duration", duration, "-application", application, "-b:a", "16k")
    run_ffmpeg("-i", tmp_path / "v.wav", *options, tmp_path / "v.opus")
    source = AudioSource(tmp_path / "v.opus", Audio(16000))
    assert source.conversions == []
    assert source.length == 16000

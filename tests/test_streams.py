import json
import math
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from dspgraph import Audio, Frames, ParameterError, SignalError, Stream, Symbols
from dspgraph.streams import first_bad_item, gcd, stream_from_dict, stream_to_dict, to_fraction


@pytest.mark.parametrize(
    ("written", "meant"),
    [(16000, 16000), (0.01, Fraction(1, 100)), ("44100/160", Fraction(2205, 8)), (137.8125, Fraction(2205, 16))],
)
def test_numbers_are_what_was_written(written: Any, meant: Fraction) -> None:
    assert to_fraction(written) == meant


@pytest.mark.parametrize(
    "written",
    [
        "fast", "", " 16000", "1_000", "0x10", "1:30", "\u0661", "1/0", "1/3/4", "nan", math.nan, math.inf, True, None,
        "1e999999999", "1e-999999999", "1/1e9", "9" * 5000, "1/" + "9" * 5000, [16000],
    ],
)  # fmt: skip
def test_a_number_that_is_none_is_refused_at_once(written: Any) -> None:
    with pytest.raises(ParameterError, match="is not a number such as 16000"):
        to_fraction(written)


def test_a_stream_has_sizes_that_an_array_can_have() -> None:
    with pytest.raises(ParameterError, match=r"at most 65536; found 65537"):
        Audio(16000, 65537)
    with pytest.raises(ParameterError, match=r"at most 65536; found 65537"):
        Frames(100, "mel", 2**16 + 1)
    with pytest.raises(ParameterError, match=r"at most 9223372036854775808; found"):
        Symbols(100, "mulaw", 2**63 + 1)
    with pytest.raises(ParameterError, match=r"a centre of less than 2\*\*32 s"):
        Frames(100, "mel", 2, centre="1e99")


def test_ten_milliseconds_at_22050_hz_are_220_and_a_half_samples() -> None:
    stream = Audio(Fraction(22050))
    assert [stream.count(Fraction(k, 100)) for k in range(5)] == [0, 221, 441, 662, 882]
    assert stream.seconds(441) == Fraction(1, 50)


@pytest.mark.parametrize(("a", "b", "divisor"), [(16000, 100, 100), (22050, 100, 50), ("2205/16", 100, "5/16")])
def test_common_divides_both_rates(a: Any, b: Any, divisor: Any) -> None:
    found = gcd(to_fraction(a), to_fraction(b))
    assert found == to_fraction(divisor)
    assert (to_fraction(a) / found).denominator == (to_fraction(b) / found).denominator == 1


def test_precision_changes_reals_and_complex_rows_and_what_symbols_stand_for() -> None:
    assert Audio(Fraction(8000)).at_precision(np.float32).dtype == np.float32
    rows = Frames(Fraction(100), "spectrum", 5, dtype=np.dtype(np.complex128))
    assert rows.at_precision(np.float32).dtype == np.complex64
    assert rows.at_precision(np.float32).at_precision(np.float64) == rows
    codes = Symbols(Fraction(100), "mulaw", 256).at_precision(np.float32)
    assert codes.dtype == np.int64
    assert codes.precision == np.float32


def test_conform_gives_a_private_copy() -> None:
    given = np.zeros(4)
    kept = Audio(Fraction(8000)).validate(given, "x")
    given[:] = 1
    assert not kept.any()


def test_any_integer_width_carries_symbols() -> None:
    for dtype in (np.int8, np.uint8, np.int16, np.uint64):
        codes = Symbols(Fraction(100), "coarse", 16).validate(np.array([0, 15], dtype), "codes")
        assert codes.dtype == np.int64
        np.testing.assert_array_equal(codes, [0, 15])


@pytest.mark.parametrize(
    ("stream", "array", "message"),
    [
        (Audio(Fraction(8000)), np.zeros(4, np.int16), "found int16: convert it first"),
        (Audio(Fraction(8000)), np.zeros(4, complex), "found complex128"),
        (Audio(Fraction(8000)), np.zeros((4, 2)), r"an array \[n\]; found the shape \[4, 2\]"),
        (Audio(Fraction(8000), 2), np.zeros(4), r"an array \[n, 2\]; found the shape \[4\]"),
        (Audio(Fraction(8000)), np.float64(0), r"found the shape \[\]"),
        (Audio(Fraction(8000)), np.array([0.0, 1.0, np.nan]), "finite numbers; item 2 is nan"),
        (Audio(Fraction(8000)), np.array([0.0, np.inf]), "item 1 is inf"),
        (Frames(Fraction(100), "lpc", 3), np.zeros((4, 2)), r"an array \[n, 3\]"),
        (Symbols(Fraction(100), "mulaw", 256), np.array([0, 256]), "integers from 0 to 255; item 1 is 256"),
        (Symbols(Fraction(100), "mulaw", 256), np.array([0, -1]), "item 1 is -1"),
        (Symbols(Fraction(100), "mulaw", 256), np.zeros(3), "found float64"),
    ],
)
def test_what_is_not_of_the_stream_is_refused_by_name(stream: Stream, array: Any, message: str) -> None:
    with pytest.raises(SignalError, match=message) as caught:
        stream.validate(array, "speech")
    assert str(caught.value).startswith("speech takes")


@pytest.mark.parametrize(
    "make",
    [
        lambda: Audio(Fraction(0)),
        lambda: Audio(Fraction(8000), 0),
        lambda: Audio(Fraction(8000), dtype=np.dtype(np.int16)),
        lambda: Frames(Fraction(100), "lpc", 0),
        lambda: Symbols(Fraction(100), "mulaw", 0),
    ],
)
def test_a_stream_that_cannot_be_is_refused(make: Any) -> None:
    with pytest.raises(ParameterError, match="found|cannot have the dtype"):
        make()


def test_streams_say_what_they_are() -> None:
    assert str(Audio(Fraction(16000))) == "Audio(16000 Hz)"
    assert str(Audio(Fraction(44100), 2)) == "Audio(44100 Hz, 2 channels)"
    assert str(Frames(Fraction(100), "lpc", 17, Fraction(1, 200))) == "Frames('lpc', 17 wide, 100 Hz, centre 5 ms)"
    assert str(Frames(Fraction(400, 3), "f0", 1)) == "Frames('f0', 1 wide, 400/3 Hz)"
    assert str(Symbols(Fraction(16000), "mulaw", 256)) == "Symbols('mulaw', 256 levels, 16000 Hz)"


@pytest.mark.parametrize("shape", [(5,), (5, 3)])
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_the_first_item_that_is_not_finite_is_found(shape: tuple[int, ...], bad: float) -> None:
    array = np.ones(shape)
    assert first_bad_item(array) is None
    assert first_bad_item(array[:0]) is None
    array[4], array[2] = np.nan, bad
    assert first_bad_item(array) == 2
    assert first_bad_item(array.astype(np.complex64)) == 2


@pytest.mark.parametrize(
    "stream",
    [
        Audio("44100/3", 2, "float32"),
        Frames(Fraction(16000, 441), "lpc", 3, Fraction(1, 3), "complex64"),
        Symbols(8000, "mulaw", 256, "float32"),
    ],
    ids=str,
)
def test_a_stream_as_plain_data_is_json_and_becomes_the_stream_again(stream: Stream) -> None:
    assert stream_from_dict(json.loads(json.dumps(stream_to_dict(stream)))) == stream


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({}, r"\{\} is not a stream: 'stream' must be one of Audio, Frames, Symbols; found None"),
        ([], r"\[\] is not a stream"),
        ({"stream": "Node"}, "is not a stream: 'stream' must be one of Audio, Frames, Symbols; found 'Node'"),
        ({"stream": []}, "the fields of a stream are texts and numbers"),
        (None, "the fields of a stream are texts and numbers"),
        (
            {"stream": "Frames", "rate": 100, "kind": "mel"},
            r"Frames has the fields .*; missing or unknown: \['width'\]",
        ),
        ({"stream": "Frames", "rate": 100, "kind": "mel", "width": True}, "found True"),
        ({"stream": "Audio", "rate": "16000", "kind": "x"}, r"missing or unknown: \['kind'\]"),
        (
            {"stream": "Audio", "rate": "16000", "dtype": "none"},
            "a stream cannot have the dtype 'none'; there are: float32",
        ),
        ({"stream": "Audio", "rate": "16000", "dtype": ",,"}, "a stream cannot have the dtype ',,'"),
        ({"stream": "Audio", "rate": "16000", "dtype": ["f8"]}, "the fields of a stream are texts and numbers"),
        ({"stream": "Audio", "rate": "0"}, "a rate above 0 Hz and below .*; found '0'"),
        ({"stream": "Audio", "rate": 5e-324}, "a rate above 0 Hz and below .*; found 5e-324"),
        ({"stream": "Audio", "rate": "-1"}, "a stream has a rate above 0 Hz"),
        ({"stream": "Audio", "rate": "1e400000"}, "'1e400000' is not a number such as"),
    ],
)
def test_data_that_are_no_stream_are_refused(data: Any, message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        stream_from_dict(data)


def test_the_times_of_items_are_their_begin_and_of_frames_their_centre() -> None:
    assert Audio(16000).times(3).tolist() == [0, 1 / 16000, 2 / 16000]
    assert Frames(Fraction(44100, 441), "f0", 1, Fraction(1, 40)).times(3).tolist() == [0.025, 0.035, 0.045]
    assert Symbols(Fraction(1, 3), "phone", 5).times(2).tolist() == [0, 3]
    assert Audio(8000).times(0).shape == (0,)
    for rate in (
        Fraction(44100, 441),
        Fraction(22050, 7),
        Fraction(10**20 + 1, 10**18 + 3),
    ):  # the last one is not exact
        stream = Frames(rate, "f0", 1, Fraction(-1, 300))
        assert stream.times(1000).tolist() == [float(k / rate - Fraction(1, 300)) for k in range(1000)]

"""The page to listen to: players, spectrograms, scores and a blind mode in one file that fetches nothing."""

from __future__ import annotations

import base64
import functools
import hashlib
import html
import json
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from importlib.resources import files
from pathlib import Path
from typing import Any
from urllib.parse import quote

import soundfile
from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from dspgraph.errors import FileError
from dspgraph.evaluation.results import Mean, Metric, Recording, Results, Score, Variant, decimals
from dspgraph.io.atomic import AtomicFile
from dspgraph.plotting.spectrogram import MINIATURE, miniatures

REFERENCE = "Reference"

FIGURES = 3
"""Scores that stand under a player; the table has them all."""

BEST = {"lower": "the lowest", "higher": "the highest", "zero": "nearest to zero"}

BLOCK = 2**18
"""Samples copied at a time."""


def write(
    results: Results,
    audio: Mapping[tuple[str, str], Path],
    reference: Mapping[str, Path],
    graphs: Mapping[str, str],
    target: Path,
    assets: bool = False,
) -> Path:
    """The page of a comparison, as one file: the same bytes each time for the same input, whole or not there.

    audio: FLAC files by (recording id, variant name), reference: by recording id; graphs: SVG texts by variant name. A
    recording without a file has its error in place of a player. With `assets`, sounds and pictures lie beside the page
    in the folder `<stem>_files`, named by their content, so that a page that is there stays whole while the next one is
    written: the sounds as WAV, of the same samples, since Chromium cannot seek in all of a short FLAC file, and a page
    on a disk may not read the files beside it to decode them itself. Raises FileError for a sound that cannot be read
    and for a page that cannot be written.
    """
    media = _Beside(target) if assets else _Inside()
    part = AtomicFile(target)
    try:
        with part.attempt(), part.temporary.open("wb") as file:
            for text in _page(results, audio, reference, graphs, media):
                file.write(text.encode())
        part.sync()
        part.place()
    except BaseException:
        media.discard()
        raise
    media.tidy()
    return target


# ---- where sounds and pictures go -----------------------------------------------------------------------------------


class _Inside:
    """In the page itself, as data URIs."""

    policy = "img-src data:; media-src blob: data:"

    def picture(self, png: bytes) -> str:
        """The address under which the page finds a picture."""
        return _data_uri(png, "image/png")

    def sound(self, path: Path) -> str:
        """The address under which the page finds a sound: the file's own bytes."""
        return _data_uri(_read(path), "audio/flac")

    def discard(self) -> None:
        """The page was not written."""

    def tidy(self) -> None:
        """The page is in place."""


class _Beside:
    """In a folder beside the page, each under a name made from its content: it tells nothing, and leads nowhere."""

    policy = "img-src 'self' file: data:; media-src 'self' file:"

    _OURS = re.compile(r"[0-9a-f]{32}\.(wav|png)")

    def __init__(self, target: Path) -> None:
        self.folder = target.with_name(f"{target.stem}_files")
        self.used: set[str] = set()
        self.new: list[Path] = []
        if self.folder.is_symlink() or (self.folder.exists() and not self.folder.is_dir()):
            raise FileError(f"{self.folder} is not a folder of its own: move it, or write elsewhere")
        self.made = not self.folder.exists()
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise FileError(f"{self.folder} cannot be made: {error.strerror}") from None

    def picture(self, png: bytes) -> str:
        return self._place(png, "png", lambda part: part.write_bytes(png))

    def sound(self, path: Path) -> str:
        def copy(part: Path) -> None:
            with (
                soundfile.SoundFile(os.fsencode(path)) as file,
                soundfile.SoundFile(
                    os.fsencode(part), "w", file.samplerate, file.channels, file.subtype, format="WAV"
                ) as made,
            ):
                while len(block := file.read(BLOCK, dtype="int32")):
                    made.write(block)

        with _reading(path):
            return self._place(_read(path), "wav", copy)

    def _place(self, content: bytes, suffix: str, write: Callable[[Path], object]) -> str:
        name = f"{hashlib.sha256(content).hexdigest()[:32]}.{suffix}"
        path = self.folder / name
        if name not in self.used:
            self.used.add(name)
            if path.is_symlink() or not path.is_file():
                self.new.append(path)
            part = AtomicFile(path)
            with part.attempt():
                write(part.temporary)
            part.place()
        return quote(os.fsencode(f"{self.folder.name}/{name}"))

    def discard(self) -> None:
        for path in self.new:
            path.unlink(missing_ok=True)
        if self.made:
            with suppress(OSError):
                self.folder.rmdir()

    def tidy(self) -> None:
        """Remove what an earlier page had and this one has not."""
        for path in self.folder.iterdir():
            if self._OURS.fullmatch(path.name) and path.name not in self.used:
                path.unlink(missing_ok=True)


def _data_uri(content: bytes, kind: str) -> str:
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"


# ---- the page -------------------------------------------------------------------------------------------------------


def _page(
    results: Results,
    audio: Mapping[tuple[str, str], Path],
    reference: Mapping[str, Path],
    graphs: Mapping[str, str],
    media: _Inside | _Beside,
) -> Iterator[str]:
    """The text of the page, piece by piece: the sounds stand at its end, and are read when their turn comes."""
    style, script = _asset("page.css"), _asset("page.js")
    scores = {(score.recording, score.variant): score for score in results.scores}
    decimals = {metric.name: _decimals(metric, results.scores) for metric in results.metrics}
    sounds: list[tuple[str, Path]] = []
    recordings = []
    for number, recording in enumerate(results.recordings):
        paths = {0: reference.get(recording.id)} | {
            slot: audio.get((recording.id, variant.name)) for slot, variant in enumerate(results.variants, 1)
        }
        found = {slot: path for slot, path in paths.items() if path is not None}
        sounds += [(f"sound-{number}-{slot}", path) for slot, path in found.items()]
        recordings.append(_recording(recording, found, results, scores, decimals, media))
    context = {
        "policy": _policy(style, script, media.policy),
        "style": Markup(style),
        "script": Markup(script),
        "pipeline": results.pipeline,
        "about": results.about,
        "facts": list(_facts(results)),
        "metrics": [_metric(metric) for metric in results.metrics],
        "variants": [_variant(variant) for variant in results.variants],
        "means": _means(results, decimals),
        "scores": [_row(score, results.metrics, decimals) for score in results.scores],
        "failed": any(score.error for score in results.scores),
        "recordings": recordings,
        "graphs": [
            _graph(variant.name, graphs[variant.name]) for variant in results.variants if variant.name in graphs
        ],
        "width": MINIATURE[0],
        "height": MINIATURE[1],
        "data": _json(
            {
                "variants": [variant.name for variant in results.variants],
                "recordings": [
                    {name: one[name] for name in ("id", "slots")} | {"seconds": one["length"]} for one in recordings
                ],
            }
        ),
    }
    page = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True).from_string(_asset("page.html.j2"))
    return page.generate(
        **_words(context),
        sounds=lambda: ({"id": name, "url": media.sound(path)} for name, path in sounds),
    )


def _asset(name: str) -> str:
    return files("dspgraph.evaluation.report").joinpath(name).read_text("utf-8")


def _policy(style: str, script: str, media: str) -> str:
    """What the page may do: draw itself, run its own script, and play what it holds."""
    style_hash, script_hash = (
        base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in (style, script)
    )
    return (
        f"default-src 'none'; {media}; style-src 'sha256-{style_hash}'; script-src 'sha256-{script_hash}'; "
        "base-uri 'none'; form-action 'none'; require-trusted-types-for 'script'"
    )


def _json(value: Any) -> Markup:
    """JSON that can stand in a <script>: nothing in it ends one."""
    text = json.dumps(_words(value), allow_nan=False)
    return Markup(text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026"))


def _words(value: Any) -> Any:
    """The same with texts that can be written: a file's name need not be text."""
    if isinstance(value, Markup) or callable(value):
        return value
    if isinstance(value, str):
        return value.encode(errors="backslashreplace").decode()
    if isinstance(value, Mapping):
        return {_words(name): _words(one) for name, one in value.items()}
    if isinstance(value, Sequence):
        return [_words(one) for one in value]
    return value


def _read(path: Path) -> bytes:
    with _reading(path):
        return path.read_bytes()


# ---- what it says ---------------------------------------------------------------------------------------------------


def _facts(results: Results) -> Iterator[str]:
    yield _count(len(results.variants), "variant")
    seconds = sum(recording.seconds for recording in results.recordings)
    yield f"{_count(len(results.recordings), 'recording')}, {_duration(seconds)}"
    if results.metrics:
        yield _count(len(results.metrics), "metric")
    if failed := sum(bool(score.error) for score in results.scores):
        yield f"{failed} failed"
    if {"asked", "computed"} <= set(results.stages):
        yield f"{results.stages['computed']} of {_count(results.stages['asked'], 'stage')} computed, the others shared"


def _count(number: int, name: str) -> str:
    return f"{number:,} {name}{'' if number == 1 else 's'}"


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes:,} min {rest} s" if seconds >= 60 else f"{seconds:.1f} s"


def _metric(metric: Metric) -> dict[str, Any]:
    settings = [
        (name, one if isinstance(one, str) else json.dumps(one, default=str)) for name, one in metric.settings.items()
    ]
    return {
        "name": metric.name,
        "unit": metric.unit,
        "better": metric.better,
        "best_is": BEST[metric.better],
        "about": metric.about,
        "version": metric.version,
        "settings": settings,
    }


def _variant(variant: Variant) -> dict[str, str]:
    return {"name": variant.name, "changes": _changes(variant), "digest": variant.digest}


def _changes(variant: Variant) -> str:
    return ", ".join([*(f"{slot}={choice}" for slot, choice in variant.swaps.items()), *variant.overrides])


def _graph(name: str, svg: str) -> dict[str, str]:
    """A picture of its own: nothing in it can reach the page."""
    said = [
        html.unescape(found)
        for tag in ("title", "desc")
        for found in re.findall(rf"<{tag}>(.*?)</{tag}>", svg, re.S)[:1]
    ]
    about = ". ".join([f"Graph of {name}", *said])
    return {"name": name, "about": about, "image": _data_uri(svg.encode(errors="replace"), "image/svg+xml")}


def _recording(
    recording: Recording,
    paths: Mapping[int, Path],
    results: Results,
    scores: Mapping[tuple[str, str], Score],
    decimals: Mapping[str, int],
    media: _Inside | _Beside,
) -> dict[str, Any]:
    """One recording: the reference and every variant, each with a picture, or with the reason why there is none."""
    infos = {slot: _info(path) for slot, path in paths.items()}
    top = max((info.samplerate / 2 for info in infos.values()), default=0)
    length = max((info.duration for info in infos.values()), default=recording.seconds)
    with _reading(Path(recording.id)):
        images = dict(zip(paths, miniatures(list(paths.values())), strict=True))

    def card(slot: int, label: str, score: Score | None) -> dict[str, Any]:
        values = score.values if score else {}
        shown = [
            {"name": metric.name, "text": f"{_number(value, decimals[metric.name])} {metric.unit}".strip()}
            for metric in results.metrics
            if (value := values.get(metric.name)) is not None
        ]
        return {
            "slot": slot,
            "label": label,
            "sounds": slot in paths,
            "image": media.picture(images[slot]) if slot in paths else "",
            "error": (score.error if score else "") or "There is no file.",
            "figures": shown[:FIGURES],
        }

    return {
        "id": recording.id,
        "source": recording.source,
        "seconds": f"{recording.seconds:.2f}",
        "length": length,
        "top": f"{top / 1000:.4g}" if top else "",
        "slots": sorted(paths),
        "cards": [
            card(0, REFERENCE, None),
            *(
                card(slot, variant.name, scores.get((recording.id, variant.name)))
                for slot, variant in enumerate(results.variants, 1)
            ),
        ],
    }


def _info(path: Path) -> Any:
    with _reading(path):
        return soundfile.info(os.fsencode(path))


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    """Name the file in what goes wrong."""
    try:
        yield
    except (OSError, soundfile.SoundFileError) as error:
        raise FileError(f"{path} cannot be read: {error}") from None


# ---- numbers --------------------------------------------------------------------------------------------------------


def _decimals(metric: Metric, scores: Iterable[Score]) -> int:
    """As many as give the largest score of a metric three digits."""
    return decimals(value for score in scores if (value := score.values.get(metric.name)) is not None)


def _number(value: float, decimals: int) -> str:
    """With a minus sign of its own, and no zero below zero."""
    return f"{round(value, decimals) + 0.0:.{decimals}f}".replace("-", "\N{MINUS SIGN}")


def _order(metric: Metric, value: float | None) -> str:
    """What a cell is sorted by: nothing where there is no value."""
    return "" if value is None else repr(abs(value) if metric.better == "zero" else value)


def _row(score: Score, metrics: Sequence[Metric], decimals: Mapping[str, int]) -> dict[str, Any]:
    values = [(metric, score.values.get(metric.name)) for metric in metrics]
    cells = [
        {"order": _order(metric, value), "text": "" if value is None else _number(value, decimals[metric.name])}
        for metric, value in values
    ]
    return {"recording": score.recording, "variant": score.variant, "error": score.error, "cells": cells}


def _means(results: Results, decimals: Mapping[str, int]) -> list[dict[str, Any]]:
    """A row per variant; within a metric all whiskers have one scale."""
    found = {(mean.variant, mean.metric): mean for mean in results.means() if mean.n}
    columns = {
        metric.name: _column(metric, [mean for mean in found.values() if mean.metric == metric.name])
        for metric in results.metrics
    }

    def cell(variant: Variant, metric: Metric) -> dict[str, Any]:
        mean = found.get((variant.name, metric.name))
        if mean is None:
            return {"mean": "", "best": False, "order": ""}
        text = functools.partial(_number, decimals=decimals[metric.name])
        best, place = columns[metric.name]
        return {
            "mean": text(mean.mean),
            "low": text(mean.low),
            "high": text(mean.high),
            "n": mean.n if mean.n < len(results.recordings) else None,
            "best": _order(metric, mean.mean) == best,
            "order": _order(metric, mean.mean),
            "left": place(mean.low),
            "at": place(mean.mean),
            "right": place(mean.high),
        }

    return [
        {**_variant(variant), "cells": [cell(variant, metric) for metric in results.metrics]}
        for variant in results.variants
    ]


def _column(metric: Metric, means: Sequence[Mean]) -> tuple[str, Callable[[float], str]]:
    """What the best of a metric is sorted by (nothing is best among one), and where a value stands from 4 to 96."""
    orders = [_order(metric, mean.mean) for mean in means]
    choose = max if metric.better == "higher" else min
    best = choose(orders, key=float) if len(orders) > 1 else "none"
    low = min((mean.low for mean in means), default=0.0)
    span = max((mean.high for mean in means), default=0.0) - low
    return best, lambda value: f"{4 + 92 * (value - low) / span if span > 0 else 50:.1f}"

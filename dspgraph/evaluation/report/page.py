"""The text of the page `report.html`, which the template `page.html.j2` makes from the results of a comparison."""

from __future__ import annotations

import base64
import hashlib
import html
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from dspgraph.evaluation.report.media import Beside, Inside, data_uri, flac_bytes
from dspgraph.evaluation.report.numbers import count, duration, mean_rows, number_text, score_row, test_rows
from dspgraph.evaluation.report.pitch import PitchCurves
from dspgraph.evaluation.report.sounds import anchor_flac, gains, has_anchor
from dspgraph.evaluation.results import Metric, Recording, Results, Score, Variant
from dspgraph.io.atomic import AtomicFile
from dspgraph.io.audio import sound_info
from dspgraph.plotting.spectrogram import DIFFERENCE, MINIATURE, miniatures

_REFERENCE_LABEL = "Reference"

_ANCHOR_LABEL = "Anchor (3.5 kHz)"

_SCRIPTS = ("player.js", "pictures.js", "tables.js", "tests.js", "begin.js")
"""The files of the page's script. They share one scope, in this order."""

FIGURES = 3
"""The most metrics whose values are shown under a player. The table has the values of all metrics."""

BEST = {"lower": "the lowest", "higher": "the highest", "zero": "nearest to zero"}


def write_page(
    results: Results,
    audio: Mapping[tuple[str, str], Path],
    reference: Mapping[str, Path],
    graphs: Mapping[str, str],
    target: Path,
    assets: bool = False,
) -> Path:
    """Write the page of a comparison to the file `target`, atomically, and return `target`.

    audio: (recording id, variant name) -> FLAC file. reference: recording id -> FLAC file. graphs: variant name -> SVG
    text. assets: put sounds and pictures into files beside the page (`media.Beside`), not into the page. If there is no
    FLAC file, the page shows the error of the score in place of a player. The same input gives the same bytes.

    Raises FileError for a sound that cannot be read and for a page that cannot be written. An earlier page and its
    files then remain unchanged.
    """
    media = Beside(target) if assets else Inside()
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


def _page(
    results: Results,
    audio: Mapping[tuple[str, str], Path],
    reference: Mapping[str, Path],
    graphs: Mapping[str, str],
    media: Inside | Beside,
) -> Iterator[str]:
    """Return the text of the page as an iterator over its pieces.

    The pictures are made, and given to `media`, before the function returns. The sounds come last in the page; each is
    given to `media` only when its piece is generated. The arguments are those of `write_page`. media: the place of
    sounds and pictures.
    """
    style, script = _asset("page.css"), _script()
    slots = [_slots(recording, results, audio, reference) for recording in results.recordings]
    sounds = [
        (f"sound-{number}-{slot}", flac_bytes, path)
        for number, found in enumerate(slots)
        for slot, path in found.items()
    ]
    scores = {(score.recording, score.variant): score for score in results.scores}
    recordings = [
        _recording(recording, found, results, scores, media)
        for recording, found in zip(results.recordings, slots, strict=True)
    ]
    sounds += [
        (f"sound-{number}-{len(results.variants) + 1}", anchor_flac, slots[number][0])
        for number, recording in enumerate(recordings)
        if recording["anchor"]
    ]
    variants = [_variant(variant) for variant in results.variants]
    context = {
        "policy": _policy(style, script, media.policy),
        "style": Markup(style),
        "script": Markup(script),
        "pipeline": results.pipeline,
        "about": results.about,
        "command": results.command,
        "facts": list(_facts(results)),
        "metrics": [_metric(metric) for metric in results.metrics],
        "variants": variants,
        "means": [{**one, "cells": cells} for one, cells in zip(variants, mean_rows(results), strict=True)],
        "missing": results.missing_values(),
        "tests": test_rows(results),
        "tests_about": results.tests_about,
        "difference_range": f"{DIFFERENCE} dB",
        "scores": [score_row(score, results.metrics, results.decimals) for score in results.scores],
        "failed": any(score.error for score in results.scores),
        "recordings": recordings,
        "graphs": [_graph(one.name, graphs[one.name]) for one in results.variants if one.name in graphs],
        "width": MINIATURE[0],
        "height": MINIATURE[1],
        "data": _json(
            {
                "id": results.identity,
                "variants": [variant.name for variant in results.variants],
                "anchor": _ANCHOR_LABEL,
                "recordings": [
                    {"seconds": one["length"], "top": one["hertz"], "pitchTop": one["pitch_top"]}
                    | {name: one[name] for name in ("id", "slots", "anchor", "gains")}
                    for one in recordings
                ],
            }
        ),
    }
    page = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True).from_string(_asset("page.html.j2"))
    return page.generate(
        **_valid(context),
        sounds=lambda: ({"id": name, "url": media.sound(read(path))} for name, read, path in sounds),
    )


def _slots(
    recording: Recording,
    results: Results,
    audio: Mapping[tuple[str, str], Path],
    reference: Mapping[str, Path],
) -> dict[int, Path]:
    """Return number of a player -> sound file, for one recording: 0 is the reference, 1, 2 ... are the variants.

    The number of a player without a file is missing.
    """
    paths = [reference.get(recording.id), *(audio.get((recording.id, one.name)) for one in results.variants)]
    return {slot: path for slot, path in enumerate(paths) if path is not None}


def _asset(name: str) -> str:
    return files("dspgraph.evaluation.report").joinpath(name).read_text("utf-8")


def _script() -> str:
    return '"use strict";\n(() => {\n' + "\n".join(_asset(f"script/{name}") for name in _SCRIPTS) + "})();\n"


def _policy(style: str, script: str, media: str) -> str:
    """Return the content security policy: the page may use only its own style, script, pictures and sounds.

    style, script: the texts in the page. media: the part of the policy about pictures and sounds.
    """
    style_hash, script_hash = (
        base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in (style, script)
    )
    return (
        f"default-src 'none'; {media}; style-src 'sha256-{style_hash}'; script-src 'sha256-{script_hash}'; "
        "base-uri 'none'; form-action 'none'; require-trusted-types-for 'script'"
    )


def _json(value: Any) -> Markup:
    """Return `value` as JSON text for a <script> element, with escapes for characters that could end the element.

    Characters that are not valid are escaped as by `_valid`. Raises ValueError for NaN and infinity.
    """
    text = json.dumps(_valid(value), allow_nan=False)
    return Markup(text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026"))


def _valid(value: Any) -> Any:
    """Return a copy of JSON data in which every text can be encoded in UTF-8: invalid characters are escaped.

    File names may have such characters, because a file system allows any bytes. Functions and `Markup` inside the data
    are left as they are.
    """
    if isinstance(value, Markup) or callable(value):
        return value
    if isinstance(value, str):
        return value.encode(errors="backslashreplace").decode()
    if isinstance(value, Mapping):
        return {_valid(name): _valid(one) for name, one in value.items()}
    if isinstance(value, Sequence):
        return [_valid(one) for one in value]
    return value


# ---- the data of the template ---------------------------------------------------------------------------------------


def _facts(results: Results) -> Iterator[str]:
    yield count(len(results.variants), "variant")
    seconds = sum(recording.seconds for recording in results.recordings)
    yield f"{count(len(results.recordings), 'recording')}, {duration(seconds)}"
    if results.metrics:
        yield count(len(results.metrics), "metric")
    if failed := sum(bool(score.error) for score in results.scores):
        yield f"{failed} failed"
    if {"asked", "computed"} <= set(results.stages):
        yield f"{results.stages['computed']} of {count(results.stages['asked'], 'stage')} computed, the others shared"


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
    changes = [*(f"{slot}={choice}" for slot, choice in variant.swaps.items()), *variant.overrides]
    return {"name": variant.name, "changes": ", ".join(changes), "digest": variant.digest}


def _graph(name: str, svg: str) -> dict[str, str]:
    """Return the diagram of a variant for an <img> element, which runs no scripts of the diagram.

    The keys are "name", "about" (a description) and "image" (a data URI). name: of the variant. svg: the text of its
    diagram.
    """
    texts = [
        html.unescape(found)
        for tag in ("title", "desc")
        for found in re.findall(rf"<{tag}>(.*?)</{tag}>", svg, re.S)[:1]
    ]
    about = ". ".join([f"Graph of {name}", *texts])
    return {"name": name, "about": about, "image": data_uri(svg.encode(errors="replace"), "image/svg+xml")}


def _recording(
    recording: Recording,
    paths: Mapping[int, Path],
    results: Results,
    scores: Mapping[tuple[str, str], Score],
    media: Inside | Beside,
) -> dict[str, Any]:
    """Return the data of one recording for the template: names, scales, gains, and a card for each sound.

    The sounds are the reference and the variants. A card has a player and pictures, which are made here and given to
    `media`; without a file, it has an error in place of the player. paths: number of a player -> sound file, from
    `_slots`. scores: (recording id, variant name) -> score. media: the place of sounds and pictures. Raises FileError
    for a sound that cannot be read.
    """
    infos = {slot: sound_info(path) for slot, path in paths.items()}
    top = max((info.samplerate / 2 for info in infos.values()), default=0)
    drawn = miniatures(list(paths.values()))
    pictures = dict(zip(paths, drawn.spectrograms, strict=True))
    differences = dict(zip(paths, drawn.differences, strict=True)) if 0 in paths else {}
    length = max((info.duration for info in infos.values()), default=recording.seconds)
    curves = PitchCurves(paths, length)
    anchor = 0 in paths and has_anchor(infos[0].samplerate)
    labels = [(_REFERENCE_LABEL, None), *((one.name, scores.get((recording.id, one.name))) for one in results.variants)]
    return {
        "id": recording.id,
        "source": recording.source,
        "seconds": f"{recording.seconds:.2f}",
        "length": length,
        "hertz": top,
        "pitch_top": curves.top,
        "anchor": anchor,
        "gains": gains(paths, len(results.variants) + 1 if anchor else None),
        "top": f"{top / 1000:.4g}" if top else "",
        "slots": sorted(paths),
        "cards": [
            {
                "slot": slot,
                "label": label,
                "sounds": slot in paths,
                "image": media.picture(pictures[slot]) if slot in paths else "",
                "difference": media.picture(differences[slot]) if slot and slot in differences else "",
                "pitch": curves.paths.get(slot, ""),
                "error": (score.error if score else "") or "There is no file.",
                "figures": _figures(score, results) if score else [],
            }
            for slot, (label, score) in enumerate(labels)
        ],
    }


def _figures(score: Score, results: Results) -> list[dict[str, str]]:
    """Return the values that the card of a variant shows: for each, a dictionary with the keys "name" and "text".

    The values of the first FIGURES metrics that have a value in `score` are shown.
    """
    known = [(metric, value) for metric in results.metrics if (value := score.values.get(metric.name)) is not None]
    return [
        {"name": metric.name, "text": f"{number_text(value, results.decimals[metric.name])} {metric.unit}".strip()}
        for metric, value in known[:FIGURES]
    ]

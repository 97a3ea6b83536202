"""Compare FARGAN with the vocoders that know features alone, on speech that its training has not heard.

python examples/voice/evaluate.py CORPUS -o OUT [--weights FILE] [--count N]

CORPUS is a folder of `corpus.py`. Two tables are printed, with means and 95 % confidence intervals: on N prompts of the
speakers of the training, of every source alike, and on N words of other speakers in other languages, of every language
alike. The last column has the outbursts per minute: runs of 10 ms with a sample beyond 1.5 times the peak of the
original. A third table is of the sentence that comes with pysptk. OUT gets a folder for every table and vocoder, with a
page to listen to; a vocoder that OUT has the results of already is not rendered again, unless it has changed.
"""

from __future__ import annotations

import argparse
import json
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from dspgraph import Audio, load
from dspgraph.evaluation.compare import REFERENCE, audio_files, compare
from dspgraph.evaluation.variants import Choice
from dspgraph.io.audio import AudioSource, example_speech

METRICS = ("pesq", "stoi", "mcd", "lsd", "log_f0_rmse", "voicing_error")
SHORTEST = {"test": 1.5, "unseen": 0.6}  # seconds
TRAINED = {"en", "es", "fr", "it", "ru"}
BURST = 1.5  # times the peak of the original


def chosen(corpus: Path, part: str, count: int) -> list[Path]:
    """Return `count` recordings of a part of the corpus, the same number of every source and language if there are."""
    groups: dict[tuple[str, str], list[Path]] = defaultdict(list)
    for line in (corpus / f"{part}.jsonl").read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        path = corpus / row["path"]
        seen = part == "unseen" and row["language"] in TRAINED
        if not seen and soundfile.info(path).duration >= SHORTEST[part]:
            groups[row["source"], row["language"].partition("@")[0]].append(path)
    found: list[Path] = []
    while len(found) < count and any(groups.values()):
        for paths in groups.values():
            if paths and len(found) < count:
                found.append(paths.pop(len(paths) // 2))
    return sorted(found)


def candidates(weights: str | None) -> list[Choice]:
    """Return the graphs that are compared. weights: of FARGAN; by default those that come with dspgraph."""
    found = [
        Choice(f"{name} {excitation}", load(name, (), {"excitation": excitation}))
        for name in ("bark_lpc_vocoder", "mcep_mlsa")
        for excitation in ("pulse_noise", "whisper")
    ]
    overrides = [f"weights={weights}"] if weights else []
    return [*found, Choice("fargan", load("fargan", overrides), overrides=overrides)]


def scored(choice: Choice, files: Sequence[Path], out: Path, about: str) -> dict[str, Any]:
    """Return the results of one vocoder, as results.json has them; render it if `out` has no results of it."""
    path = out / "results.json"
    known = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    names = {file.stem for file in files}
    same = known and known["variants"][0]["digest"] == choice.graph.digest
    if not same or {one["id"] for one in known["recordings"]} != names:
        compare([choice], files, out, choice.name, about, METRICS)
        known = json.loads(path.read_text(encoding="utf-8"))
    errors = [score["error"] for score in known["scores"] if score["error"]]
    if errors:
        raise SystemExit(errors[0])
    result: dict[str, Any] = known
    return result


def cells(results: dict[str, Any]) -> list[str]:
    """Return the means of all metrics, with their intervals if there is more than one recording."""
    means, found = {mean["metric"]: mean for mean in results["means"]}, []
    for name in METRICS:
        mean = means[name]
        digits = 0 if name == "log_f0_rmse" else 1 if name == "voicing_error" else 2
        values = [mean[key] for key in ("mean", "low", "high")]
        if not mean["n"] or values[0] is None:
            found.append("-")
        elif mean["n"] == 1:
            found.append(f"{values[0]:.{digits}f}")
        else:
            found.append(f"{values[0]:.{digits}f} ({values[1]:.{digits}f} to {values[2]:.{digits}f})")
    return found


def outbursts(out: Path, variant: str, files: Sequence[Path]) -> float:
    """Return how many runs of 10 ms a minute have a sample beyond BURST times the peak of the original."""
    count, seconds = 0, 0.0
    for file in files:
        original = AudioSource(file, Audio(16000)).read()
        result, _ = soundfile.read(audio_files(out, [REFERENCE, variant], file.stem)[variant])
        count += len(np.unique(np.flatnonzero(np.abs(result) > BURST * np.abs(original).max()) // 160))
        seconds += len(original) / 16000
    return 60 * count / seconds


def evaluate(corpus: Path, out: Path, weights: str | None, count: int) -> None:
    """Print all tables, and write the pages."""
    parts = (
        ("seen", "prompts of the speakers of the training, held out", chosen(corpus, "test", count)),
        ("unseen", "words of other speakers, in other languages", chosen(corpus, "unseen", count)),
        ("clip", "sentence that comes with pysptk, of a speaker who is not in the training", [example_speech()]),
    )
    for name, about, files in parts:
        seconds = sum(soundfile.info(file).duration for file in files)
        print(f"\n{len(files)} {about}; {seconds / 60:.1f} minutes\n")
        print("| vocoder | " + " | ".join([*METRICS, "outbursts/min"]) + " |")
        print("|---" * (len(METRICS) + 2) + "|")
        for choice in candidates(weights):
            place = out / name / choice.name.replace(" ", "_")
            results = scored(choice, files, place, about)
            row = [f"`{choice.name}`", *cells(results), f"{outbursts(place, choice.name, files):.2f}"]
            print("| " + " | ".join(row) + " |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("corpus", type=Path)
    parser.add_argument("-o", "--out", type=Path, required=True)
    parser.add_argument("--weights", help="weights of FARGAN; by default those that come with dspgraph")
    parser.add_argument("--count", type=int, default=60, help="recordings in each table")
    given = parser.parse_args()
    evaluate(given.corpus, given.out, given.weights, given.count)


if __name__ == "__main__":
    main()

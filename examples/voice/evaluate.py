"""Compare FARGAN with vocoders that compute sound from features without a network, on speech not used in training.

python examples/voice/evaluate.py CORPUS -o OUT [--weights FILE] [--lpcnet FILE] [--count N]

CORPUS is a folder that `corpus.py` has made. With --lpcnet, a network with these weights, LPCNet, is compared too. Two
tables are printed, with means and 95 % confidence intervals: one for N prompts of the speakers of the training, the
same number from every source of recordings; and one for N words of other speakers in other languages, the same number
from every language. The last column has the outbursts per minute: pieces of 10 ms with a sample beyond 1.5 times the
peak of the original. A third table is for the sentence that comes with pysptk. A last line has the outbursts of FARGAN
in ten minutes of prompts. In OUT, a folder is made for every table and vocoder, with a page to listen to. A vocoder
whose results OUT has already is not rendered again, unless it has changed.
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

from dspgraph import Array, Audio, Graph, load
from dspgraph.evaluation.compare import audio_files, compare
from dspgraph.evaluation.listening import REFERENCE
from dspgraph.evaluation.variants import Choice
from dspgraph.io.audio import AudioSource, example_speech

METRICS = ("pesq", "stoi", "mcd", "lsd", "log_f0_rmse", "voicing_error")
SHORTEST = {"test": 1.5, "unseen": 0.6}  # seconds
AS_MANY = ["order=17", "hop=160"]  # as many numbers per second as the cepstrum of FARGAN: 18 every 10 ms
TRAINED = {"en", "es", "fr", "it", "ru"}
BURST = 1.5  # times the peak of the original
LONG = 600.0  # seconds of speech in which outbursts are counted


def chosen(corpus: Path, part: str, count: int) -> list[Path]:
    """Return the paths, sorted, of at most `count` recordings of a part of the corpus, "test" or "unseen".

    corpus: the folder that `corpus.py` has made. The numbers for any two pairs of source and language are equal or
    differ by one, as far as there are enough recordings; variants of a language, such as "en@x", count as one.
    Recordings shorter than SHORTEST, and unseen words in a language of the training, are left out.
    """
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


def candidates(weights: str | None, lpcnet: str | None = None) -> list[Choice]:
    """Return the vocoders that are compared, each as a graph with a name. FARGAN is the last one.

    weights: the path of a file of weights for FARGAN; None for the weights that come with dspgraph. lpcnet: the path of
    a file of weights for LPCNet; None to leave it out.
    """
    found = [
        Choice(f"{name} {excitation}", load(name, (), {"excitation": excitation}))
        for name in ("bark_lpc_vocoder", "mcep_mlsa")
        for excitation in ("pulse_noise", "whisper")
    ]
    found.append(Choice(f"mcep_mlsa {' '.join(AS_MANY)}", load("mcep_mlsa", AS_MANY), overrides=AS_MANY))
    networks = {"lpcnet": lpcnet, "fargan": weights}
    for name, file in networks.items():
        if file or name == "fargan":
            overrides = [f"weights={file}"] if file else []
            found.append(Choice(name, load(name, overrides), overrides=overrides))
    return found


def scored(choice: Choice, files: Sequence[Path], out: Path, about: str) -> dict[str, Any]:
    """Return the results of one vocoder: the content of the file results.json that `compare` writes.

    The recordings are rendered into the folder `out`, unless it has results of the same graph for the same recordings.
    Recordings are the same if their files have the same names, without suffix. Other results in `out` are replaced.
    about: a description, for the page. Raises SystemExit if a recording could not be rendered or measured.
    """
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
    """Return the cells of a row of a table, as texts: the means of all metrics, in the order of METRICS.

    With several recordings, the 95 % confidence interval follows the mean; without any value, the cell is "-". results:
    as `scored` returns them.
    """
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


def bursts(original: Array, result: Array) -> int:
    """Return how many pieces of 10 ms of a result have a sample beyond BURST times the peak of the original.

    original, result: [n], at 16 kHz.
    """
    return len(np.unique(np.flatnonzero(np.abs(result) > BURST * np.abs(original).max()) // 160))


def outbursts(out: Path, variant: str, files: Sequence[Path]) -> float:
    """Return the outbursts per minute in the results of a vocoder.

    out: the folder with the results of this vocoder for these files, as `scored` writes it; variant: the name of the
    vocoder; files: the original recordings.
    """
    count, seconds = 0, 0.0
    for file in files:
        original = AudioSource(file, Audio(16000)).read()
        result, _ = soundfile.read(audio_files(out, [REFERENCE, variant], file.stem)[variant])
        count += bursts(original, result)
        seconds += len(original) / 16000
    return 60 * count / seconds


def many_outbursts(graph: Graph, corpus: Path) -> tuple[int, float]:
    """Return the number of outbursts in about ten minutes of held-out prompts, and the exact duration in minutes.

    If the corpus has fewer such prompts, all are taken. graph: the vocoder, with one input, audio at 16 kHz, and the
    output "speech"; corpus: the folder that `corpus.py` has made.
    """
    signals: list[Array] = []
    for file in chosen(corpus, "test", 10**6):
        if sum(map(len, signals)) < LONG * 16000:
            signals.append(AudioSource(file, Audio(16000)).read())
    results = graph.map(signals, batch=16)
    count = sum(bursts(x, y["speech"]) for x, y in zip(signals, results, strict=True))
    return count, sum(map(len, signals)) / 16000 / 60


def evaluate(corpus: Path, out: Path, weights: str | None, count: int, lpcnet: str | None = None) -> None:
    """Print all tables, and write into the folder `out` a page to listen to for each table and vocoder.

    The arguments are those of the command. weights: None for those that come with dspgraph; lpcnet: None for no row.
    """
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
        for choice in candidates(weights, lpcnet):
            place = out / name / choice.name.replace(" ", "_")
            results = scored(choice, files, place, about)
            row = [f"`{choice.name}`", *cells(results), f"{outbursts(place, choice.name, files):.2f}"]
            print("| " + " | ".join(row) + " |", flush=True)
    count, minutes = many_outbursts(candidates(weights)[-1].graph, corpus)
    print(f"\noutbursts of `fargan` in {minutes:.1f} minutes of held-out prompts: {count}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("corpus", type=Path)
    parser.add_argument("-o", "--out", type=Path, required=True)
    parser.add_argument("--weights", help="weights of FARGAN; by default those that come with dspgraph")
    parser.add_argument("--lpcnet", help="weights of LPCNet; without them it has no row")
    parser.add_argument("--count", type=int, default=60, help="recordings in each table")
    given = parser.parse_args()
    evaluate(given.corpus, given.out, given.weights, given.count, given.lpcnet)


if __name__ == "__main__":
    main()

"""Make a corpus of recorded speech from packages of Debian, with five speakers to train on and many others to test on.

python examples/voice/corpus.py FOLDER [--packages DIRECTORY]

The program writes WAV files at 16 kHz, and the manifests train.jsonl, validation.jsonl, test.jsonl and unseen.jsonl,
whose rows have the columns id, path, speaker, language, licence and source. A prompt of the five speakers (a sentence,
known by the path of its file below the folder of the voice) is in the same manifest in all languages, so that no
held-out prompt is trained on in another language. With --packages the packages are read from files *.deb in that
directory; otherwise `apt-get download` gets them. The program ffmpeg decodes G.722, the format of most of the
recordings.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray

RATE = 16000
LEVEL = -26.0  # dB of the root mean square of the frames that are no pause, relative to full scale
PEAK = 0.95  # largest sample
SHORTEST = 0.5  # seconds of a recording after trimming
TEST, VALIDATION = 0.07, 0.01  # shares of the prompts
_DECODED_TOGETHER = 64  # files that one process of ffmpeg decodes

Samples = NDArray[np.float64]


@dataclass(frozen=True)
class Source:
    """The recordings of one speaker or of one set of speakers.

    package: the name of the Debian package; pattern: a pattern for its files, relative to the folder into which the
    package is unpacked, with at least one `*`; speaker, language, licence: texts for the manifest; if the language is
    "", it is the name of the folder of each file; unseen: whether the recordings are for tests only.
    """

    package: str
    pattern: str
    speaker: str
    language: str
    licence: str
    unseen: bool = False


_ASTERISK = "usr/share/asterisk/sounds/{}/**/*.g722"
SOURCES = (
    Source("asterisk-core-sounds-en-g722", _ASTERISK.format("en_US_f_Allison"), "Allison Smith", "en", "CC-BY-SA-3.0"),
    Source("asterisk-core-sounds-es-g722", _ASTERISK.format("es_MX_f_Allison"), "Allison Smith", "es", "CC-BY-SA-3.0"),
    Source("asterisk-core-sounds-fr-g722", _ASTERISK.format("fr_CA_f_June"), "June Wallack", "fr", "CC-BY-SA-3.0"),
    Source("asterisk-core-sounds-it-g722", _ASTERISK.format("it_IT_m_Carlo"), "Carlo Flora", "it", "CC-BY-3.0"),
    Source("asterisk-core-sounds-ru-g722", _ASTERISK.format("ru_RU_f_IvrvoiceRU"), "Maxim Topal", "ru", "CC-BY-3.0"),
    Source(
        "festvox-ru", "usr/share/festival/voices/russian/msu_ru_nsh_clunits/wav/*.wav", "msu_ru_nsh", "ru",
        "BSD-like, Nickolay V. Shmyrev 2005",
    ),
    Source("ktuberling-data", "usr/share/ktuberling/sounds/*/*.ogg", "volunteers", "", "GPL-2", unseen=True),
)  # fmt: skip
"""The packages whose recordings are the corpus."""


# ---- packages -------------------------------------------------------------------------------------------------------


def unpack(packages: Sequence[str], folder: Path, given: Path | None) -> None:
    """Unpack packages of Debian into a folder. packages: their names.

    given: a directory with their files NAME_*.deb, of which the last in alphabetical order is taken; None: download
    them. Raises SystemExit if a package is not there, or if a program is missing or fails.
    """
    with tempfile.TemporaryDirectory() as downloads:
        place = given or Path(downloads)
        if given is None:
            _run(["apt-get", "download", *packages], cwd=place)
        for package in packages:
            found = sorted(place.glob(f"{package}_*.deb"))
            if not found:
                raise SystemExit(f"there is no {package}_*.deb in {place}: get it by 'apt-get download {package}'")
            _run(["dpkg", "-x", str(found[-1].resolve()), str(folder.resolve())], cwd=place)


def _run(command: list[str], cwd: Path | None = None) -> None:
    if not shutil.which(command[0]):
        raise SystemExit(f"the program {command[0]} is needed: install it, or run this on Debian")
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{' '.join(command[:3])} failed: {done.stderr.strip()[-500:]}")


# ---- recordings -----------------------------------------------------------------------------------------------------


def decoded(files: Sequence[Path]) -> Iterator[tuple[Path, Samples]]:
    """Yield pairs (file, samples [n]): the mean of all channels at 16 kHz, full scale +-1.

    The files in the format G.722, those called *.g722, come first. Raises SystemExit if ffmpeg is missing or fails.
    """
    coded = [one for one in files if one.suffix == ".g722"]
    with tempfile.TemporaryDirectory() as folder:
        for first in range(0, len(coded), _DECODED_TOGETHER):
            some = coded[first : first + _DECODED_TOGETHER]
            ends = [Path(folder, f"{k}.wav") for k in range(len(some))]
            inputs = [part for one in some for part in ("-f", "g722", "-i", str(one))]
            outputs = [part for k, one in enumerate(ends) for part in ("-map", str(k), "-ar", str(RATE), str(one))]
            _run(["ffmpeg", "-y", "-loglevel", "error", *inputs, *outputs])
            for one, end in zip(some, ends, strict=True):
                yield one, _read(end)
    for one in files:
        if one.suffix != ".g722":
            yield one, _read(one)


def _read(path: Path) -> Samples:
    samples, rate = soundfile.read(path, always_2d=True)
    mean: Samples = samples.mean(1)
    return mean if rate == RATE else soxr.resample(mean, rate, RATE)


def levelled(samples: Samples) -> Samples | None:
    """Return a recording without the pauses at its ends, at the level of the corpus; None if it is silent or too short.

    samples: [n] at 16 kHz. Frames of 10 ms are pauses if their power is at least 40 dB below that of the loudest frame.
    Up to 100 ms of pause stay at each end; with them, a recording of less than SHORTEST is too short. The level, the
    root mean square of the other frames, becomes LEVEL. If the peak would then be above PEAK, the recording is softer:
    its peak is PEAK.
    """
    frames = samples[: len(samples) // 160 * 160].reshape(-1, 160)
    power = (frames * frames).mean(1) if len(frames) else np.zeros(1)
    (loud,) = np.nonzero(power > 1e-4 * power.max())
    if len(loud) == 0:
        return None
    found: Samples = samples[max(0, 160 * (loud[0] - 10)) : 160 * (loud[-1] + 11)]
    if len(found) < SHORTEST * RATE:
        return None
    gain = float(10 ** (LEVEL / 20) / np.sqrt(power[loud].mean()))
    return found * min(gain, PEAK / float(np.abs(found).max()))


def part_of(prompt: str) -> str:
    """Return the part of the corpus, "test", "validation" or "train", to which a prompt belongs.

    The part depends on `prompt` alone: the path of a recording below the folder of its voice, without the suffix. It
    does not apply to sources that are `unseen`.
    """
    place = int.from_bytes(sha256(prompt.encode()).digest()[:8], "big") / 2**64
    return "test" if place < TEST else "validation" if place < TEST + VALIDATION else "train"


# ---- the corpus -----------------------------------------------------------------------------------------------------


def make_corpus(folder: Path, packages: Path | None = None) -> dict[str, float]:
    """Write the recordings and the manifests into a folder, and return the minutes of speech in each manifest.

    Recordings of silence, and those for which `levelled` returns None, are left out. Files that exist are replaced.
    packages: a directory with the files of the packages; None: download them. Raises SystemExit if a package has no
    recordings, and as `unpack` and `decoded` do.
    """
    folder.mkdir(parents=True, exist_ok=True)
    rows: dict[str, list[str]] = {"train": [], "validation": [], "test": [], "unseen": []}
    minutes = dict.fromkeys(rows, 0.0)
    with tempfile.TemporaryDirectory(dir=folder) as unpacked:
        unpack([one.package for one in SOURCES], Path(unpacked), packages)
        for source in SOURCES:
            files = sorted(Path(unpacked).glob(source.pattern))
            if not files:
                raise SystemExit(f"{source.package} has no files {source.pattern}: is it another version?")
            spoken = [path for path in files if path.parent.name != "silence"]  # recordings of a quiet room
            for path, samples in decoded(spoken):
                if (found := levelled(samples)) is None:
                    continue
                language = source.language or path.parent.name
                below = path.relative_to(Path(unpacked, *Path(source.pattern.partition("*")[0]).parts))
                part = "unseen" if source.unseen else part_of(str(below.with_suffix("")))
                name = f"{source.package.removesuffix('-g722')}/{below.with_suffix('')}".replace("/", "__")
                end = folder / "wav" / f"{name}.wav"
                end.parent.mkdir(exist_ok=True)
                soundfile.write(end, found, RATE, subtype="PCM_16")
                labels = {"speaker": source.speaker, "language": language, "licence": source.licence}
                row = {"id": name, "path": f"wav/{end.name}", **labels, "source": source.package}
                rows[part].append(json.dumps(row, ensure_ascii=False) + "\n")
                minutes[part] += len(found) / RATE / 60
    for part, lines in rows.items():
        (folder / f"{part}.jsonl").write_text("".join(lines), encoding="utf-8")
    return minutes


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--packages", type=Path, help="directory with the files *.deb")
    given = parser.parse_args()
    for part, minutes in make_corpus(given.folder, given.packages).items():
        print(f"{given.folder / part}.jsonl: {minutes:.1f} minutes")


if __name__ == "__main__":
    main()

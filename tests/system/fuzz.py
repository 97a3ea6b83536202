"""Fuzzing: files that are damaged at random go through the command line, and every fault is reported with its input.

    python tests/system/fuzz.py --seconds 60              # what fits into a minute
    python tests/system/fuzz.py --inputs 20000 --seed 7   # a number of inputs
    python tests/system/fuzz.py --seed 7 --only npz:1234  # one input again, with all that is printed

An input is determined by the seed, its kind and its number. It is rendered, checked or loaded in a worker process that
may take 10 s of processor time and 1 GiB of memory. A fault is a traceback, a hang, a crash, too much memory, an exit
code that is not 0, 1 or 2, an unfinished file in the output folder, a message of more than 20,000 characters, a control
character or a line of another program in what is printed. Exit code 1 if there is a fault. Linux only: the memory and
the time of a process are read from /proc.
"""

from __future__ import annotations

import argparse
import io
import json
import multiprocessing
import os
import random
import re
import shutil
import signal
import struct
import sys
import tempfile
import time
import traceback
import warnings
import zipfile
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "nodes")]

CPU_SECONDS, SLEEP_SECONDS, MEMORY = 10.0, 20.0, 2**30
"""Limits of one input: processor time, time asleep without a pause, both in seconds, and resident memory in bytes."""

LONGEST = 20_000
"""The largest number of characters that may be printed about an input that is refused."""

RUNS_OF_A_WORKER = 300
"""The number of inputs after which a worker is replaced, so that what libraries keep in memory does not add up."""

TICKS, PAGE = os.sysconf("SC_CLK_TCK"), os.sysconf("SC_PAGE_SIZE")


# ---- what is damaged: valid files of each kind ----------------------------------------------------------------------

CODES = """
inputs: {codes: {symbols: mulaw, rate: 16000, size: 256}}
nodes: {d: {node: mulaw_decode, codes: codes}}
outputs: {speech: d}
"""

FEATURES = """
inputs: {f0: {frames: f0, rate: 200, width: 1}, mcep: {frames: mcep, rate: 200, width: 9}}
nodes: {e: {node: pulse_noise, f0: f0, rate: 16000}, s: {node: mlsa, x: e, mcep: mcep, alpha: 0.42}}
outputs: {speech: s}
"""

AUDIO = "{inputs: {x: {audio: 16000}}, nodes: {g: {node: gain, x: x}}, outputs: {y: g}}"


class Valid(NamedTuple):
    """A valid file: its kind, its name, its bytes, and the arguments of `dspgraph` that read it.

    In the arguments, FILE stands for the path of the file and OUT for the path of the output folder. OUT.png is a file
    beside this folder.
    """

    kind: str
    name: str
    content: bytes
    arguments: tuple[str, ...]


def valid_files(folder: Path) -> list[Valid]:
    """Return valid files of every kind, as bytes, and write into `folder` the other files that their commands need."""
    readers = (_audio, _arrays, _weights, _pipelines, _manifests, _alignments)
    return [valid for reader in readers for valid in reader(folder)]


def _samples(rate: int, channels: int) -> Any:
    import numpy as np

    n = rate // 5
    time = np.arange(n)[:, None] / rate
    return 0.4 * np.sin(2 * np.pi * (200 + 30 * np.arange(channels)) * time) * np.hanning(n)[:, None]


def _audio(folder: Path) -> list[Valid]:
    import soundfile

    from dspgraph.io.containers import make_reproducible

    (folder / "audio.yaml").write_text(AUDIO)
    arguments = ("render", str(folder / "audio.yaml"), "FILE", "-o", "OUT", "--log-json")
    forms = [("wav", "WAV", one) for one in ("PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "ULAW", "IMA_ADPCM")]
    forms += [
        ("wav", "WAVEX", "PCM_16"),
        ("wav", "RF64", "PCM_16"),
        ("flac", "FLAC", "PCM_16"),
        ("flac", "FLAC", "PCM_24"),
    ]
    forms += [("ogg", "OGG", "VORBIS"), ("ogg", "OGG", "OPUS"), ("mp3", "MP3", "MPEG_LAYER_III")]
    found = []
    for kind, container, subtype in forms:
        for rate, channels in ((16000, 1), (48000, 2)):
            path = folder / f"whole.{kind}"
            soundfile.write(path, _samples(rate, channels), rate, subtype, format=container)
            make_reproducible(path)
            found.append(Valid(kind, f"x.{kind}", path.read_bytes(), arguments))
            path.unlink()
    return found


def _arrays(folder: Path) -> list[Valid]:
    import numpy as np

    from dspgraph.io.arrays import ArraySink
    from dspgraph.streams import Frames, Stream, Symbols

    draw = np.random.default_rng(0)
    sets: dict[str, tuple[dict[str, Stream], dict[str, Any]]] = {
        CODES: ({"codes": Symbols(16000, "mulaw", 256)}, {"codes": draw.integers(0, 256, 3200)}),
        FEATURES: (
            {"f0": Frames(200, "f0", 1), "mcep": Frames(200, "mcep", 9)},
            {"f0": 120 + draw.random((80, 1)), "mcep": 0.1 * draw.standard_normal((80, 9))},
        ),
    }
    found = []
    for number, (text, (streams, arrays)) in enumerate(sets.items()):
        pipeline = folder / f"arrays{number}.yaml"
        pipeline.write_text(text)
        with ArraySink(folder / "a.npz", streams) as sink:
            for name, array in arrays.items():
                sink.write(name, array)
        contents = [(folder / "a.npz").read_bytes()]
        for save in (np.savez, np.savez_compressed):
            held = io.BytesIO()
            save(held, **arrays)
            contents.append(held.getvalue())
        for content in contents:
            found.append(Valid("npz", "x.npz", content, ("render", str(pipeline), "FILE", "-o", "OUT", "--log-json")))
            found.append(Valid("npz", "x.npz", content, ("check", str(pipeline), "FILE", "--seconds", "0.4")))
    return found


def _weights(folder: Path) -> list[Valid]:
    import numpy as np
    import soundfile

    from dspgraph_nodes.models.lpcnet.config import Config
    from dspgraph_nodes.models.lpcnet.weights import WEIGHTS, shapes

    config, draw = Config(pitch_embedding=2, condition=16, embedding=4, gru_a=16, gru_b=16), np.random.default_rng(0)
    arrays = {name: 0.1 * draw.standard_normal(shape).astype(np.float32) for name, shape in shapes(config).items()}
    WEIGHTS.write(folder / "whole.safetensors", config, arrays)
    soundfile.write(folder / "short.wav", _samples(16000, 1)[:800], 16000)
    content = (folder / "whole.safetensors").read_bytes()
    calls = (
        ("show", "lpcnet", "-s", "weights=FILE"),
        ("render", "lpcnet", str(folder / "short.wav"), "-s", "weights=FILE", "-o", "OUT", "--log-json"),
        ("plot", str(folder / "short.wav"), "--distribution", "FILE", "-o", "OUT.png"),
    )
    return [Valid("safetensors", "x.safetensors", content, calls[k]) for k in (0, 0, 0, 0, 0, 0, 1, 1, 2)]


def _pipelines(folder: Path) -> list[Valid]:
    shipped = [
        path for path in sorted((ROOT / "pipelines").glob("*.yaml")) if "weights: null" not in path.read_text()
    ]  # it needs weights
    texts = [*(path.read_bytes() for path in shipped), AUDIO.encode()]
    clip = str(folder / "short.wav")
    calls = (("show", "FILE"), ("render", "FILE", clip, "-o", "OUT", "--log-json"))
    found = [Valid("yaml", "x.yaml", text, call) for text in texts for call in calls]
    return found + [Valid("yaml", "x.yaml", text.encode(), ("show", "FILE")) for text in (CODES, FEATURES)]


def _manifests(folder: Path) -> list[Valid]:
    os.mkfifo(folder / "pipe.wav")
    (folder / "endless.wav").symlink_to("/dev/zero")
    clip = str(folder / "short.wav")
    rows = [{"id": f"a/{k}", "path": clip, "start": k / 100, "duration": 0.01, "channel": 0} for k in range(3)]
    lines = "".join(f"{json.dumps(row)}\n" for row in rows)
    table = "id,path,start,duration,channel\n" + "".join(f"{','.join(map(str, row.values()))}\n" for row in rows)
    scp = f"a {clip}\nb {clip}\n"
    arguments = ("render", str(folder / "audio.yaml"), "FILE", "-o", "OUT", "--log-json")
    texts = {"x.jsonl": lines, "x.csv": table, "wav.scp": scp}
    return [Valid(name.rpartition(".")[2], name, text.encode(), arguments) for name, text in texts.items()]


TEXTGRID = """File type = "ooTextFile"
Object class = "TextGrid"
xmin = 0
xmax = 1
tiers? <exists>
size = 1
item []:
    item [1]:
        class = "IntervalTier"
        name = "phones"
        xmin = 0
        xmax = 1
        intervals: size = 2
        intervals [1]:
            xmin = 0
            xmax = 0.004
            text = ""
        intervals [2]:
            xmin = 0.004
            xmax = 1
            text = "a ""b"" c"
"""


def _alignments(folder: Path) -> list[Valid]:
    import numpy as np

    from dspgraph.io.arrays import ArraySink
    from dspgraph.streams import Frames

    path = folder / "mixture.npz"
    with ArraySink(path, {"d": Frames(16000, "logistic_mixture", 6)}) as sink:
        sink.write("d", np.random.default_rng(0).standard_normal((160, 6)))
    word = {"case": "success", "start": 0.001, "end": 0.004, "phones": [{"phone": "ah_B", "duration": 0.003}]}
    texts = {
        "x.lab": "0 20000 x-sil+a[2]\n20000 50000 \\303\\244 -1.5\n50000 90000 b\n",
        "y.lab": "separator ;\n#\n0.002 125 pau\n0.009 125 a ; b\n",
        "x.mlf": '#!MLF!#\n"*/mixture.lab"\n0 20000 a\n20000 90000 b\n.\n"*/b.lab"\n0 1 c\n.\n',
        "x.ctm": ";; a\nmixture 1 0.001 0.002 a_B 0.9\nb 1 0.0 0.1 c\nmixture 1 0.004 0.003 b_E\n",
        "x.json": json.dumps({"words": [word, {"case": "not-found-in-audio"}]}),
        "x.TextGrid": TEXTGRID,
        "x.txt": "0.001\t0.004\ta\n\\\t10\t20\n0.005\t0.005\tb\n0.007\t0.009\n",
        "x.phn": "0 80 h#\n80 150 sh\n",
    }
    arguments = ("plot", str(path), "--phones", "FILE", "-o", "OUT.png")
    return [Valid("alignment", name, text.encode(), arguments) for name, text in texts.items()]


# ---- damage ---------------------------------------------------------------------------------------------------------

NUMBERS = (0, 1, 2, 3, 7, 8, 127, 128, 255, 256, 65535, 2**24, 2**31 - 1, 2**31, 2**32 - 1, 2**63 - 1, 2**63, 2**64 - 1)

WORDS = (
    "", "0", "-1", "1e999999999", "1e-999999999", "1e400", "nan", "inf", "-.inf", ".nan", "0x" + "f" * 5000, "9" * 5000,
    "1/0", "010", "1:30", "1:30:30.5", "true", "null", "~", "[]", "{}", "[" * 500, "{" * 500, "{a: " * 200, "]", "}", '"', "'",
    "&a [*a]", "*a", "<<: *a", "!!python/object:os.system", "!!binary aaaa", "${rate}", "${", "${a.b}", "${rate}" * 200,
    "../../x", "/dev/zero", "/dev/stdin", "pipe.wav", "endless.wav", "~root", "a\0b", "\x1b]0;title\x07", "\u202e", "\ud7ff",
    "\ufeff", "\r", "\n", "\t", " ", ",", ":", "|", "ls |", "=1+1", "%s%n", "x" * 5000, "lpcnet", "node", "pipeline", "extends",
    "vars", "inputs", "1048576", "2147483647", "99999999999999999999", "0.0000001", "float32", ",,", "O", "<U9", "(9,)f8",
)  # fmt: skip


def damaged(draw: random.Random, valid: Valid) -> bytes:
    """Return the bytes of a valid file, at most 4 MiB, with one to four damages; some keep its container in order."""
    content = valid.content
    inside = {"npz": _damage_archive, "safetensors": _damage_header, "ogg": _damage_pages}.get(valid.kind)
    text = valid.kind in ("yaml", "jsonl", "csv", "scp", "alignment")
    for _ in range(draw.choice((1, 1, 1, 2, 2, 3, 4))):
        if inside and draw.random() < 0.7:
            content = inside(draw, content)
        else:
            content = (_damage_text if text and draw.random() < 0.8 else _damage_bytes)(draw, content)
    return content[: 2**22]


def _damage_bytes(draw: random.Random, content: bytes) -> bytes:
    data = bytearray(content)
    # Headers are worth more damage than samples: half of the places are among the first 100 bytes.
    at = draw.randrange(min(len(data), 100) if draw.random() < 0.5 else len(data)) if data else 0
    way = draw.randrange(8)
    if way == 0:
        for _ in range(draw.randint(1, 8)):
            if data:
                data[draw.randrange(len(data))] ^= 1 << draw.randrange(8)
    elif way in (1, 2):
        size = draw.choice((1, 2, 4, 8))
        number = draw.choice(NUMBERS) % 256**size
        data[at : at + size] = number.to_bytes(size, draw.choice(("little", "big")))
    elif way == 3:
        del data[at : at + draw.choice((1, 4, 100, len(data)))]
    elif way == 4:
        data[at:at] = draw.randbytes(draw.choice((1, 4, 100)))
    elif way == 5:
        part = data[at : at + draw.choice((4, 40, 400))]
        data[at:at] = part * draw.choice((1, 10))
    elif way == 6:
        other = draw.randrange(len(data) + 1)
        data[at : at + 50] = data[other : other + 50]
    else:
        data[at : at + draw.choice((4, 40))] = draw.choice((b"\0", b"\xff")) * draw.choice((4, 40))
    return bytes(data)


def _damage_text(draw: random.Random, content: bytes) -> bytes:
    text = content.decode("utf-8", "surrogateescape")
    words = list(re.finditer(r"[\w.${}/-]+|[^\w\s]", text))
    if not words:
        return draw.choice(WORDS).encode("utf-8", "replace")
    one, other = draw.choice(words), draw.choice(words)
    way = draw.randrange(5)
    if way <= 1:
        new = draw.choice(WORDS)
    elif way == 2:
        new = other[0]
    elif way == 3:
        new = one[0] + draw.choice(WORDS)
    else:
        lines = text.split("\n")
        at = draw.randrange(len(lines))
        lines[at : at + draw.randint(0, 2)] = [draw.choice(lines)] * draw.choice((1, 1, 30))
        return "\n".join(lines).encode("utf-8", "surrogateescape")
    return (text[: one.start()] + new + text[one.end() :]).encode("utf-8", "surrogateescape")


def _damage_archive(draw: random.Random, content: bytes) -> bytes:
    """Damage, rename or repeat a member of a zip archive; return the archive, written again with the right check sums.

    The compression is drawn. If the bytes are no archive any more, some of them are damaged.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            members = [(info.filename, archive.read(info)) for info in archive.infolist()]
    except Exception:
        return _damage_bytes(draw, content)
    if not members:
        return content
    at = draw.randrange(len(members))
    name, data = members[at]
    way = draw.randrange(6)
    if way == 0:
        members.append(draw.choice(members))
    elif way == 1:
        members[at] = (draw.choice(["", "../x.npy", name.upper(), "x" * 300, "a\x1b.npy", "streams.npy"]), data)
    elif way == 2:
        members[at] = (name, _damage_bytes(draw, data))
    elif name == "streams.npy" and way < 5:
        import numpy as np

        text = data[128:].decode("utf-32-le", "replace").encode("utf-8", "replace")
        held = io.BytesIO()
        np.save(held, np.array(_damage_text(draw, text).decode("utf-8", "replace")))
        members[at] = (name, held.getvalue())
    else:
        size = int.from_bytes(data[8:10], "little")
        head = _damage_text(draw, data[10 : 10 + size])
        right = draw.random() < 0.8
        members[at] = (
            name,
            data[:8] + struct.pack("<H", len(head) % 65536 if right else size) + head + data[10 + size :],
        )
    held = io.BytesIO()
    method = draw.choice(
        (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA)
    )
    with zipfile.ZipFile(held, "w", method) as archive:
        for name, data in members:
            archive.writestr(name or "none", data)
    return held.getvalue()


def _damage_header(draw: random.Random, content: bytes) -> bytes:
    """Damage the header of a safetensors file, and correct the length that stands before it."""
    size = int.from_bytes(content[:8], "little")
    head = _damage_text(draw, content[8 : 8 + size])
    return struct.pack("<Q", len(head)) + head + content[8 + size :]


def _damage_pages(draw: random.Random, content: bytes) -> bytes:
    """Damage an Ogg file, and correct the check sums of the pages that are still found."""
    data, at = bytearray(_damage_bytes(draw, content)), 0
    while (at := data.find(b"OggS", at)) >= 0 and len(data) >= at + 27:
        end = at + 27 + data[at + 26]
        end += sum(data[at + 27 : end])
        data[at + 22 : at + 26] = bytes(4)
        data[at + 22 : at + 26] = _page_sum(data[at:end]).to_bytes(4, "little")
        at += 4
    return bytes(data)


def _page_sum(page: bytes | bytearray) -> int:
    """Return the check sum of an Ogg page whose own field for it, bytes 22 to 25, is 0 (RFC 3533, section 6)."""
    found = 0
    for byte in page:
        found = (found << 8) & 0xFFFFFFFF ^ _PAGE_SUMS[found >> 24 ^ byte]
    return found


def _page_sum_of(byte: int) -> int:
    found = byte << 24
    for _ in range(8):
        found = found << 1 ^ (0x104C11DB7 if found >> 31 else 0)
    return found


_PAGE_SUMS = [_page_sum_of(byte) for byte in range(256)]


# ---- the worker -----------------------------------------------------------------------------------------------------


class Outcome(NamedTuple):
    """The outcome of one input: the exit code, the printed text, and the peak of the memory in bytes.

    code: None if an exception was not caught.
    """

    code: int | None
    stdout: str
    stderr: str
    memory: int


def serve(pipe: Connection) -> None:
    """Run `dspgraph` with every list of arguments that `pipe` receives, and send back the `Outcome`; end at None."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C ends the program that started this worker
    from dspgraph.cli.main import main

    saved = [os.dup(1), os.dup(2)]
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        while (arguments := pipe.recv()) is not None:
            for number, file in ((1, out), (2, err)):
                file.seek(0)
                file.truncate()
                os.dup2(file.fileno(), number)
            Path("/proc/self/clear_refs").write_text("5")  # begin the measurement of the peak anew
            code: int | None = None
            try:
                main(args=arguments, prog_name="dspgraph")
            except SystemExit as end:
                code = end.code if isinstance(end.code, int) else 0
            except BaseException:
                traceback.print_exc()
            for stream, number in zip((sys.stdout, sys.stderr), (1, 2), strict=True):
                stream.flush()
                os.dup2(saved[number - 1], number)
            texts = []
            for file in (out, err):
                file.seek(0)
                texts.append(file.read().decode("utf-8", "replace"))
            peak = re.search(r"VmHWM:\s*(\d+) kB", Path("/proc/self/status").read_text())
            pipe.send(Outcome(code, texts[0], texts[1], int(peak[1]) * 1024 if peak else 0))


class Worker:
    """A worker process. It is started for the first input, and anew after `stop` and after RUNS_OF_A_WORKER inputs."""

    def __init__(self) -> None:
        self.runs = RUNS_OF_A_WORKER
        self.process: Any = None
        self.patience = 1  # by which the limit of processor time is multiplied

    def run(self, arguments: list[str]) -> Outcome | str:
        """Run `dspgraph` with these arguments; return the outcome, or, as text, the fault that prevented an outcome."""
        if self.runs >= RUNS_OF_A_WORKER:
            self.stop()
            context = multiprocessing.get_context("spawn")
            self.pipe, other = context.Pipe()
            self.process = context.Process(target=serve, args=(other,), daemon=True)
            self.process.start()
            other.close()
            self.runs = 0
        self.runs += 1
        self.pipe.send(arguments)
        begun, _ = self._cpu()
        latest, awake = begun, time.monotonic()  # processor time, and when it last changed
        while not self.pipe.poll(0.05):
            fault = ""
            cpu, running = self._cpu()
            if running or cpu > latest:
                latest, awake = cpu, time.monotonic()
            if not self.process.is_alive() and not self.pipe.poll(0):
                code = self.process.exitcode
                fault = f"crash ({signal.Signals(-code).name if code < 0 else f'exit code {code}'})"
            elif cpu - begun > CPU_SECONDS * self.patience:
                fault = f"hang (more than {CPU_SECONDS:g} s of processor time)"
            elif time.monotonic() - awake > SLEEP_SECONDS:
                fault = f"hang (asleep for {SLEEP_SECONDS:g} s)"
            elif self._memory() > 1.3 * MEMORY:
                fault = "memory (more than 1.3 GiB, and growing)"
            if fault:
                self.stop()
                return fault
        try:
            outcome: Outcome = self.pipe.recv()
        except EOFError:
            self.process.join(5)
            fault = f"crash (exit code {self.process.exitcode})"
            self.stop()
            return fault
        return outcome

    def stop(self) -> None:
        """Kill the process, if there is one; the next input starts a new one."""
        if self.process:
            self.process.kill()
            self.process.join()
            self.pipe.close()
            self.process = None
        self.runs = RUNS_OF_A_WORKER

    def _cpu(self) -> tuple[float, bool]:
        """Return the processor time of the worker in seconds, and whether it runs or waits for a processor or the disk.

        Returns (0, False) if the worker is gone.
        """
        try:
            fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            return 0.0, False
        return (int(fields[11]) + int(fields[12])) / TICKS, fields[0] in "RD"

    def _memory(self) -> int:
        try:
            return int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1]) * PAGE
        except OSError:
            return 0


# ---- faults ---------------------------------------------------------------------------------------------------------

OWN_LINE = re.compile(r"(dspgraph: |failed: |note: |Usage: |Try '|Error: |$)|\d+ rendered in ")


def fault_of(kind: str, arguments: list[str], found: Outcome | str, out: Path) -> str:
    """Return the fault of an outcome in words; an empty text if there is none.

    kind: of the input; for "yaml" the lines of stderr are not checked. arguments: of `dspgraph`; lines of stdout are
    checked only with --log-json. found: the outcome, or a fault in words, which is returned. out: the output folder.
    """
    if isinstance(found, str):
        return found
    printed = found.stdout + found.stderr
    if found.code not in (0, 1, 2) or "Traceback (most recent call last)" in printed:
        last = found.stderr.strip().splitlines()[-1:] or [""]
        return f"traceback (exit code {found.code}: {last[0][:200]})"
    if found.memory > MEMORY:
        return f"memory ({found.memory / 2**20:.0f} MiB)"
    if parts := [path.name for path in out.rglob("*.part")]:
        return f"unfinished file ({parts[0]})"
    if len(printed) > LONGEST and found.code:
        return f"long ({len(printed)} characters are printed)"
    if bad := re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e]", printed):
        return f"control character {bad[0]!r} is printed"
    if "--log-json" in arguments:
        for line in found.stdout.splitlines():
            try:
                json.loads(line)
            except ValueError:
                return f"foreign line on stdout ({line[:200]!r})"
    if kind != "yaml":  # an error of a pipeline may have a line for each complaint
        for line in found.stderr.splitlines():
            if not OWN_LINE.match(line):
                return f"foreign line on stderr ({line[:200]!r})"
    return ""


def run_one(worker: Worker, valid: Valid, content: bytes, folder: Path) -> tuple[Outcome | str, str]:
    """Write an input, run `dspgraph` on it, and return the outcome and the fault, as of `fault_of`.

    If `dspgraph` dies or is killed, the outcome is this fault too. valid: the file that was damaged; content: the bytes
    of the input; folder: for the input and for the output folder `out`, which is removed first.
    """
    path, out = folder / valid.name, folder / "out"
    shutil.rmtree(out, ignore_errors=True)
    path.write_bytes(content)
    arguments = [one.replace("FILE", str(path)).replace("OUT", str(out)) for one in valid.arguments]
    found = worker.run(arguments)
    return found, fault_of(valid.kind, arguments, found, out)


def chosen(valids: list[Valid], seed: int, number: int, kind: str) -> tuple[Valid, bytes]:
    """Return the valid file from which an input is made, and the bytes of the input.

    valids: all valid files; seed, number, kind: these three determine the input.
    """
    draw = random.Random(f"{seed} {kind} {number}")
    valid = draw.choice([one for one in valids if one.kind == kind])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # zipfile's, of names that are written twice
        return valid, damaged(draw, valid)


def main() -> int:
    """Run the inputs that the options ask for, print a table and the faults, and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=30.0, help="time that new inputs are begun (default 30)")
    parser.add_argument("--inputs", type=int, help="number of inputs; then --seconds is not used")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--kinds", help="kinds of files, by commas; default: all")
    parser.add_argument("--only", metavar="KIND:NUMBER", help="run this input alone, and print what it prints")
    parser.add_argument("--keep", type=Path, default=Path("fuzz"), help="folder for inputs with faults (default fuzz)")
    given = parser.parse_args()
    for number in (signal.SIGINT, signal.SIGTERM):  # also if it was started in the background
        signal.signal(number, signal.default_int_handler)
    with tempfile.TemporaryDirectory(prefix="fuzz-") as name:
        return _fuzz(given, Path(name))


def _fuzz(given: argparse.Namespace, folder: Path) -> int:
    valids, worker = valid_files(folder), Worker()
    kinds = list(dict.fromkeys(one.kind for one in valids))
    if given.only:
        kind, _, number = given.only.partition(":")
        valid, content = chosen(valids, given.seed, int(number), kind)
        _compile(worker, [valid], folder)
        found, fault = run_one(worker, valid, content, folder)
        print(*valid.arguments, found, fault or "no fault", sep="\n")
        worker.stop()
        return int(bool(fault))
    if given.kinds:
        kinds = [kind for kind in kinds if kind in given.kinds.split(",")]
    _compile(worker, [valid for valid in valids if valid.kind in kinds], folder)
    counts: dict[str, Counter[str]] = {kind: Counter() for kind in kinds}
    begun, number, faults = time.monotonic(), 0, 0
    still_due: Callable[[], bool] = (
        (lambda: number < given.inputs) if given.inputs else (lambda: time.monotonic() < begun + given.seconds)
    )
    with suppress(KeyboardInterrupt):  # the table is printed after Ctrl-C and SIGTERM too
        while still_due():
            kind = kinds[number % len(kinds)]
            valid, content = chosen(valids, given.seed, number, kind)
            found, fault = run_one(worker, valid, content, folder)
            counts[kind]["inputs"] += 1
            if isinstance(found, Outcome):
                counts[kind]["peak MiB"] = max(counts[kind]["peak MiB"], found.memory >> 20)
            counts[kind]["refused" if isinstance(found, str) or found.code else "taken"] += 1
            if fault:
                faults += 1
                counts[kind][fault.partition(" ")[0]] += 1
                given.keep.mkdir(parents=True, exist_ok=True)
                kept = given.keep / f"{given.seed}-{kind}-{number}-{valid.name}"
                kept.write_bytes(content)
                print(
                    f"{fault}; {kept}; again: python tests/system/fuzz.py --seed {given.seed} --only {kind}:{number}",
                    flush=True,
                )
            number += 1
    worker.stop()
    _print_table(counts)
    print(f"{number} inputs in {time.monotonic() - begun:.0f} s, {faults} faults (seed {given.seed})")
    return int(faults > 0)


def _compile(worker: Worker, valids: list[Valid], folder: Path) -> None:
    """Run `dspgraph` on undamaged files, with 60 times as much processor time, so that all kernels are compiled.

    Files that are refused, or show a fault, are printed.
    """
    worker.patience = 60
    for valid in valids:
        found, fault = run_one(worker, valid, valid.content, folder)
        if fault or isinstance(found, str) or found.code:
            print(f"{valid.kind}: a file without damage is refused: {fault or found}, {valid.arguments}")
    worker.patience = 1


def _print_table(counts: dict[str, Counter[str]]) -> None:
    columns = ["inputs", "taken", "refused", "peak MiB"]
    columns += sorted({name for one in counts.values() for name in one} - set(columns))
    print("kind".ljust(12), *(name.rjust(10) for name in columns))
    for kind, one in counts.items():
        print(kind.ljust(12), *(str(one[name]).rjust(10) for name in columns))


if __name__ == "__main__":
    sys.exit(main())

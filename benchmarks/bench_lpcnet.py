"""Benchmark of LPCNet in float32 and in eight bits, of its training, and of the time that its first sample needs.

The speed is compared with that of the same network in torch, and with the peak speed of a core. The network has random
weights and the published sizes: GRUs of 384 and 16 units; a table has other sizes too. Of the recurrent weights of the
first GRU, the diagonal and a share of the others are not 0: 0.05 for gate r, 0.05 for gate z and 0.2 for gate n. This
share forms blocks of 16 rows and 4 columns. In float32 the number of columns of a block does not change the speed; in
eight bits, blocks of one column take longer. The published C program makes 9 to 10 seconds of audio per CPU second in
float32, and 27 to 29 in int8, on a core like the one for which the promises below were made.
"""

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pysptk
import soundfile
import torch
from torch.nn.functional import cross_entropy

from benchmarks.measure import Row, faster, milliseconds
from dspgraph import Array, Graph
from dspgraph import load as load_pipeline
from dspgraph.engine.batch import Batch
from dspgraph.streams import Frames
from dspgraph_nodes._kernels.compile.jit import kernel
from dspgraph_nodes._kernels.compile.simd import dot_paths
from dspgraph_nodes._kernels.neural.lanes import Segment
from dspgraph_nodes._kernels.neural.layout import Blocks
from dspgraph_nodes._kernels.neural.lpcnet_packing import Network, pack_weights
from dspgraph_nodes._kernels.neural.lpcnet_synthesis import (
    LaneState,
    deemphasis,
    frame_inputs,
    sharpness,
    synthesise,
)
from dspgraph_nodes._kernels.neural.stages import network_stage
from dspgraph_nodes.models.lpcnet import cpu as lpcnet_cpu
from dspgraph_nodes.models.lpcnet.config import PRESETS, Config
from dspgraph_nodes.models.lpcnet.network import LPCNet
from dspgraph_nodes.models.lpcnet.reference import synthesise as synthesise_in_torch
from dspgraph_nodes.models.lpcnet.weights import WEIGHTS, shapes
from dspgraph_nodes.models.shared.modules import load
from dspgraph_nodes.neural.lpcnet import Lpcnet

SECONDS, MANY, ALONE = 10, 16, 0.1  # seconds of audio; signals in a batch; seconds of audio for torch
SUMS, TURNS = 12, 2_000_000  # vectors of sums in the loop that measures the peak; turns of the loop
SIZES = {"192/32": Config(gru_a=192, gru_b=32), "384/16": Config(), "640/16": Config(gru_a=640)}
SHORT = 3  # seconds of audio for the table of sizes
SHARE, SHARE_OF_MANY = 12, 18  # least shares of the core's multiply-adds in float32, %: one signal, many
PROMISED = {"vnni": (2.0, 2.0), "avx2": (1.6, 1.5), "plain": (0.0, 0.0)}
"""The least speed of the network 384/16 in eight bits relative to float32: for one signal and for sixteen.

Measured twice with AVX-512 VNNI, on AMD Zen 4: 2.13 and 2.04 times as fast for one signal, 2.11 and 2.10 times for
sixteen; 192/32: 2.0 and 1.9 times; 640/16: 2.6 and 2.5 times. On the same machine with AVX-512 turned off: 1.73 and
1.50 times. Measured twice with AVX2, on AMD Zen 2, whose cores were shared, in an older form of the kernel: 1.75 and
1.76 times for one signal, 1.65 and 1.59 times for sixteen. On that core the peak speed of multiply-adds is about the
same in eight bits and in float32. Other sizes must be at least as fast as float32. Plain code may be slower.
"""
PROMISED_OF_ONE_COLUMN = {"vnni": 1.0, "avx2": 0.9, "plain": 0.0}
"""The least relative speed of the network 384/16 in eight bits with blocks of one column.

Measured with AVX-512 VNNI, on AMD Zen 4: 1.43 and 1.51. Measured twice with AVX2, on AMD Zen 2, in an older form of the
kernel: 0.98 and 1.01 for one signal, 0.93 and 1.00 for sixteen.
"""
NONE = float("nan")

START = """
import time, numpy as np
begin = time.process_time()
from dspgraph import load
graph = load("lpcnet", ["weights={path}"])
graph(speech=np.zeros(8000))
print(time.process_time() - begin)
"""


def random_arrays(config: Config, columns: int = 4) -> dict[str, Array]:
    """Return random weights, by name, of about the magnitude that trained weights have; the same at every call.

    columns: the number of columns in a block of recurrent weights of the first GRU; it divides `config.gru_a`. Most of
    these blocks are 0, except for the elements of the diagonal.
    """
    draw = np.random.Generator(np.random.Philox(key=0))
    arrays = {}
    for name, shape in shapes(config).items():
        fan = shape[-1] if name == "dual_fc.kernel" else int(np.prod(shape[1:], initial=1))
        wide = 1.0 if name.startswith("embed") else 0.1 if "bias" in name else 2 / np.sqrt(fan)
        arrays[name] = (wide * (2 * draw.random(shape) - 1)).astype(np.float32)
    arrays["dual_fc.factor"] += np.float32(2)
    units = config.gru_a
    for gate, density in enumerate((0.05, 0.05, 0.2)):
        rows = arrays["gru_a.weight_hh_l0"][gate * units : (gate + 1) * units]
        kept = np.kron(draw.random((units // 16, units // columns)) < density, np.ones((16, columns), bool))
        rows[~(kept | np.eye(units, dtype=bool))] = 0
    return arrays


class Sums(NamedTuple):
    """The arrays of the loop `_multiply_adds`, which measures the peak speed of a core in float32.

    state: not read, but every stage needs an array of this name. y: [16 * SUMS], the sums.
    """

    state: Array
    y: Array


@network_stage
def _multiply_adds(code: Any, count: Any) -> None:
    sums = [code.variable(code.constant(k)) for k in range(SUMS)]
    a, b = code.constant(0.999), code.constant(0.001)
    with code.loop(count):
        for total in sums:
            code.builder.store(code.fma(code.builder.load(total), a, b), total)
    for k, total in enumerate(sums):
        code.store(code.builder.load(total), "y", 16 * k)


@kernel
def _peak(room: Sums, count: int) -> None:
    _multiply_adds(room, room, count)


class Bytes(NamedTuple):
    """The arrays of `_add_dots`, the loop that measures the peak speed of a core with 8-bit numbers."""

    state: Array  # not read, but every stage needs an array of this name
    bytes_: Array  # [64 * (1 + SUMS)] uint8: 64 values, then 64 weights for each sum
    y: Array  # [16 * SUMS] int32: the sums


@network_stage
def _add_dots(code: Any, count: Any) -> None:
    b = code.builder
    sums = [code.variable(code.integer(k)) for k in range(SUMS)]
    values = code.load_bytes("bytes_", 0)
    with code.loop(count) as n:  # the values change, so that the compiler cannot compute their products once
        changed = b.xor(values, code.spread_integer(b.trunc(n, code.integers.element)))
        for k, total in enumerate(sums):
            weights = code.load_bytes("bytes_", 64 * (k + 1))
            b.store(code.add_dots(dot_paths()[0], b.load(total), changed, weights), total)
    for k, total in enumerate(sums):
        code.store_integers(b.load(total), "y", 16 * k)


@kernel
def _peak_of_bytes(room: Bytes, count: int) -> None:
    _add_dots(room, room, count)


def multiply_adds(network: Network) -> int:
    """Return the number of multiply-adds per sample in the matrices of a network in float32.

    Weights that are 0 do not count, nor does the frame-rate network.
    """
    sample = network.sample
    kept = sum(int(np.count_nonzero(one.weights)) for one in sample if isinstance(one, Blocks))
    return kept + len(sample.diagonal_a) + len(sample.diagonal_b)


def rows() -> list[Row]:
    """Measure LPCNet, and return the rows: synthesis, also in eight bits, gradients, and the start of a process."""
    config = Config()
    arrays = random_arrays(config)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "weights.safetensors"
        WEIGHTS.write(path, config, arrays)
        found = [*_synthesis(path, pack_weights(arrays)), *_eight_bits(Path(folder))]
        return [*found, _gradients(), *_starts(path, folder)]


def _features(seconds: float) -> dict[str, Array]:
    x, _ = soundfile.read(pysptk.util.example_audio_file())
    found: dict[str, Array] = load_pipeline("lpcnet_features")(speech=np.resize(x, int(16000 * seconds)))
    return found


def _graph(path: Path, found: dict[str, Array], precision: str) -> Graph:
    names = {"cepstrum": "bark_cepstrum", "pitch": "pitch", "correlation": "correlation", "lpc": "predictor"}
    inputs = {name: Frames(100, kind, found[name].shape[1]) for name, kind in names.items()}
    nodes = {"lpcnet": Lpcnet(weights=str(path), precision=precision)}
    return Graph(nodes, {f"lpcnet.{n}": n for n in names}, inputs, {"y": "lpcnet.y"})


def _several(found: dict[str, Array]) -> list[dict[str, Array]]:
    """Return the features of `MANY` signals: those of one signal, rotated to begin at another frame for each.

    Equal signals would all look up the same rows of the embeddings, unlike real ones. found: the features by name.
    """
    return [{name: np.roll(array, 61 * k, axis=0) for name, array in found.items()} for k in range(MANY)]


def _eight_bits(folder: Path) -> list[Row]:
    """Return the rows about the precision int8: one signal and many, for each size. Float32 and int8 are run in turns.

    The last rows are for a network whose blocks of weights have one column. folder: where files of weights are written.
    """
    found, path = _features(SHORT), dot_paths()[0]
    batch = _several(found)
    room = Bytes(
        np.zeros((1, 1), np.float32), np.arange(64 * (1 + SUMS), dtype=np.uint8), np.zeros(16 * SUMS, np.int32)
    )
    made = []
    for name, columns in [*((name, 4) for name in SIZES), ("384/16", 1)]:
        file = folder / f"weights_{name.replace('/', '_')}_{columns}.safetensors"
        arrays = random_arrays(SIZES[name], columns)
        WEIGHTS.write(file, SIZES[name], arrays)
        wide, eight = (_graph(file, found, precision) for precision in ("float32", "int8"))
        both = [partial(_run, graph, found, None) for graph in (wide, eight)]
        both += [partial(_run, graph, found, batch) for graph in (wide, eight)]
        one32, one8, many32, many8, peak = milliseconds([*both, partial(_peak_of_bytes, room, TURNS)], repeats=5)
        alone, together = PROMISED[path] if name == "384/16" else (min(1.0, least) for least in PROMISED[path])
        if columns == 1:
            alone = together = PROMISED_OF_ONE_COLUMN[path]
        what = f"lpcnet in eight bits ({path}), {name}" + (", blocks of one column" if columns == 1 else "")
        made.append(faster(f"{what}: float32", one8, one32, alone))
        made.append(faster(f"{what}, {MANY} in a batch: float32", many8, many32, together))
        if columns == 1:
            continue
        best = 64 * SUMS * TURNS / peak  # multiply-adds per ms
        work = multiply_adds(pack_weights(arrays)) * 16000 * SHORT
        for kind, count, time in (("one signal", 1, one8), (f"{MANY} in a batch", MANY, many8)):
            share = 100 * count * work / time / best
            speed = 1e3 * count * SHORT / time
            text = f"{what}, {kind}, {speed:.1f} x real time, of the peak"
            made.append(Row(text, count * work / time / 1e6, best / 1e6, "GMAC/s", share, "% printed", True))
    return made


def _run(graph: Graph, found: dict[str, Array], batch: list[dict[str, Array]] | None) -> None:
    if batch:
        list(Batch(graph, MANY).render(batch))
    else:
        graph(**found)


def _synthesis(path: Path, network: Network) -> list[Row]:
    found = _features(SECONDS)
    graph = _graph(path, found, "float32")
    model = load(WEIGHTS, LPCNet, path)
    _check(model, network, found)
    room = Sums(np.zeros((1, 1), np.float32), np.zeros(16 * SUMS, np.float32))
    batch = _several(found)
    one, many, torch_loop, peak = milliseconds(
        [
            lambda: graph(**found),
            lambda: list(Batch(graph, MANY).render(batch)),
            lambda: _stepped(model, found, ALONE),
            lambda: _peak(room, TURNS),
        ],
        repeats=7,
    )
    flops = 2 * multiply_adds(network) * 16000 * SECONDS
    best = 2 * 16 * SUMS * TURNS / peak
    alone, together = 1e3 * SECONDS / one, 1e3 * MANY * SECONDS / many
    share, share_of_many = flops / one / best, MANY * flops / many / best
    return [
        Row("lpcnet, one signal, seconds per CPU second (C: 10)", alone, NONE, "x", alone, "printed", True),
        Row(f"lpcnet, {MANY} in a batch (C in int8: 28)", together, NONE, "x", together, "printed", True),
        Row("lpcnet, one signal, of this core's multiply-adds", flops / one / 1e6, best / 1e6, "GFLOPS",
            100 * share, f">= {SHARE} %", 100 * share >= SHARE),
        Row(f"lpcnet, {MANY} in a batch, the same", MANY * flops / many / 1e6, best / 1e6, "GFLOPS",
            100 * share_of_many, f">= {SHARE_OF_MANY} %", 100 * share_of_many >= SHARE_OF_MANY),
        faster("lpcnet, a second of audio: torch, step by step", one / SECONDS, torch_loop / ALONE, 50),
    ]  # fmt: skip


def _conditions(model: LPCNet, found: dict[str, Array]) -> torch.Tensor:
    with torch.no_grad():
        given = (
            torch.from_numpy(found[name].astype(np.float32))[None] for name in ("cepstrum", "pitch", "correlation")
        )
        cepstrum, pitch, correlation = given
        f: torch.Tensor = model.condition(cepstrum, pitch[..., 0], correlation[..., 0])[0]
    return f


def _stepped(model: LPCNet, found: dict[str, Array], seconds: float) -> Array:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        sharp = torch.from_numpy(sharpness(found["correlation"][:, 0]))
        numbers = np.random.Generator(np.random.Philox(key=0)).random(int(16000 * seconds), dtype=np.float32)
        f = _conditions(model, found)
        return synthesise_in_torch(model, f, sharp, found["lpc"], numbers, 160, 80, 0.002)[0]
    finally:
        torch.set_num_threads(threads)


def _check(model: LPCNet, network: Network, found: dict[str, Array]) -> None:
    """Assert that the kernel and torch make the same samples, over the `ALONE` seconds for which torch is measured.

    model, network: the same weights for torch and for the kernel; found: the features, by name.
    """
    numbers = np.random.Generator(np.random.Philox(key=0)).random(int(16000 * ALONE), dtype=np.float32)
    conditions, sharp = _conditions(model, found).numpy(), sharpness(found["correlation"][:, 0])
    frames = frame_inputs(network.frame, conditions, found["lpc"], sharp)
    segment = Segment(LaneState(network.sample, 16), frames, 80, numbers)
    ((samples, _),) = synthesise(network.sample, [segment], 160, 0.002)
    assert (samples == _stepped(model, found, ALONE)).all()
    assert np.isfinite(deemphasis(samples, 0.85, 0.0)).all()


def _gradients() -> Row:
    """Return the row of the gradients of LPCNet's sample-rate network: their time relative to torch.nn, on one core.

    There are as many samples as in one update of the network in examples/train_lpcnet_on_one_clip.py.
    """
    torch.manual_seed(0)
    model = LPCNet(PRESETS["lpcnet-small"])
    f, codes = torch.randn(44, 1, model.config.condition), torch.randint(0, 256, (44, 80, 4))

    def update(forward: Callable[..., Any]) -> None:
        logits = forward(f, codes[..., :3])[0]
        model.zero_grad()
        torch.autograd.backward(cross_entropy(logits.flatten(0, 1), codes[..., 3].flatten()))

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        ours, layers = milliseconds(
            [lambda: update(partial(lpcnet_cpu.forward, model)), lambda: update(model)], repeats=15
        )
    finally:
        torch.set_num_threads(threads)
    return faster("lpcnet-small, its gradients, one core: torch.nn", ours, layers, 1.7)


def _starts(path: Path, folder: str) -> list[Row]:
    """Measure the CPU time from the imports until half a second of audio is made, in new processes; return two rows.

    The first row is for an empty cache of kernels, the second for a full cache. path: the file of weights; folder:
    where the cache is made.
    """
    seconds = []
    for _ in range(2):
        environment = {**os.environ, "NUMBA_CACHE_DIR": str(Path(folder) / "cache")}
        done = subprocess.run(
            [sys.executable, "-c", START.format(path=path)], check=True, capture_output=True, text=True, env=environment
        )
        seconds.append(float(done.stdout))
    first, again = seconds
    return [
        Row("speech -> lpcnet, first start: all is compiled", first, NONE, "s", first, "printed", True),
        Row("speech -> lpcnet, cached start", again, NONE, "s", again, "printed", True),
    ]

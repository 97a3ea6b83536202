"""Benchmark of LPCNet: its speed, its share of the peak speed of a core, and the speed of the same network in torch.

The network has random weights and the published sizes: GRUs of 384 and 16 units; of the recurrent weights of the first
GRU, the share 0.05 of gate r, 0.05 of gate z and 0.2 of gate n is not 0. The published C program makes 9 to 10 seconds
of audio per CPU second in float32, and 27 to 29 in int8, on a core like the one for which the promises below were made.
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
NONE = float("nan")

START = """
import time, numpy as np
begin = time.process_time()
from dspgraph import load
graph = load("lpcnet", ["weights={path}"])
graph(speech=np.zeros(8000))
print(time.process_time() - begin)
"""


def random_arrays(config: Config) -> dict[str, Array]:
    """Return random weights, by name, of about the magnitude that trained weights have."""
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
        kept = np.repeat(draw.random((units // 16, units)) < density, 16, axis=0)
        rows[~(kept | np.eye(units, dtype=bool))] = 0
    return arrays


class Sums(NamedTuple):
    """The arrays of the loop `_multiply_adds`, which measures the peak speed of a core. `state` is not used."""

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


def multiply_adds(network: Network) -> int:
    """Return the number of multiply-adds in the matrices of a network per sample. Weights that are 0 do not count."""
    sample = network.sample
    kept = sum(int(np.count_nonzero(one.weights)) for one in sample if isinstance(one, Blocks))
    return kept + len(sample.diagonal_a) + len(sample.diagonal_b)


def rows() -> list[Row]:
    """Measure LPCNet: synthesis, gradients, and the first synthesis in a process; return the rows of the table."""
    config = Config()
    arrays = random_arrays(config)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "weights.safetensors"
        WEIGHTS.write(path, config, arrays)
        return [*_synthesis(path, pack_weights(arrays)), _gradients(), *_starts(path, folder)]


def _synthesis(path: Path, network: Network) -> list[Row]:
    x, _ = soundfile.read(pysptk.util.example_audio_file())
    x = np.resize(x, 16000 * SECONDS)
    found = load_pipeline("lpcnet_features")(speech=x)
    names = {"cepstrum": "bark_cepstrum", "pitch": "pitch", "correlation": "correlation", "lpc": "predictor"}
    inputs = {name: Frames(100, kind, found[name].shape[1]) for name, kind in names.items()}
    graph = Graph({"lpcnet": Lpcnet(weights=str(path))}, {f"lpcnet.{n}": n for n in names}, inputs, {"y": "lpcnet.y"})
    model = load(WEIGHTS, LPCNet, path)
    _check(model, network, found)
    room = Sums(np.zeros((1, 1), np.float32), np.zeros(16 * SUMS, np.float32))
    # Sixteen equal signals would read the same rows of tables. So each signal begins at another frame.
    batch = [{name: np.roll(array, 61 * k, axis=0) for name, array in found.items()} for k in range(MANY)]
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
    return [
        Row("lpcnet, one signal, seconds per CPU second (C: 10)", alone, NONE, "x", alone, ">= 14 x", alone >= 14),
        Row(f"lpcnet, {MANY} in a batch (C in int8: 28)", together, NONE, "x", together, ">= 26 x", together >= 26),
        Row("lpcnet, one signal, of this core's multiply-adds", flops / one / 1e6, best / 1e6, "GFLOPS",
            100 * flops / one / best, "% printed", True),
        Row(f"lpcnet, {MANY} in a batch, the same", MANY * flops / many / 1e6, best / 1e6, "GFLOPS",
            100 * MANY * flops / many / best, "% printed", True),
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
    """Measure the gradients of the sample-rate network of LPCNet on a training batch, and return the row.

    The batch is as large as in examples/train_lpcnet_on_one_clip.py.
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

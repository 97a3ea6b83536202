"""Benchmark of FARGAN: synthesis of one signal and of sixteen, and training.

The operations per second of synthesis are compared with those of sgemm, BLAS's product of float32 matrices. The network
has random weights, rounded to 16 bits, and the published sizes: 746,320 multiply-adds for a sub-frame of 40 samples and
67,584 for a frame, which are 0.61 * 10**9 operations for a second of audio.
"""

import numpy as np
import torch

from benchmarks.measure import Row, faster, milliseconds
from dspgraph import Array
from dspgraph_nodes._kernels.neural.fargan_layout import pack_fargan
from dspgraph_nodes._kernels.neural.fargan_synthesis import FarganState, synthesise
from dspgraph_nodes.models.fargan.config import PRESETS
from dspgraph_nodes.models.fargan.network import FARGAN, places
from dspgraph_nodes.models.shared.spectral_losses import spectral_loss

FRAMES, MANY, BATCH, CHUNK = 300, 16, 64, 15
OPERATIONS = 2 * (746_320 * 400 + 67_584 * 100)  # for a second of audio
_LEAST = 60.0  # times real time, one signal
_LEAST_SHARE = 0.3  # of the speed of sgemm, sixteen signals


def rows() -> list[Row]:
    """Measure FARGAN, and return the rows of the table of results: about synthesis and training."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        torch.manual_seed(0)
        model = FARGAN(PRESETS["fargan"])
        return [*_synthesis(model.eval()), _training(model.train())]
    finally:
        torch.set_num_threads(threads)


def _synthesis(model: FARGAN) -> list[Row]:
    network = pack_fargan({name: value.half().float().numpy() for name, value in model.state_dict().items()})
    draw = np.random.default_rng(0)
    given = (
        draw.standard_normal((FRAMES, 18)),
        draw.integers(-100, 300, (FRAMES, 1)) / 100,
        draw.random((FRAMES, 1)) - 0.5,
    )

    def signals(count: int) -> list[Array]:
        return synthesise(
            network.subframe, [FarganState(network, np.float32).push(network, *given) for _ in range(count)]
        )

    a = draw.standard_normal((1024, 1024)).astype(np.float32)
    one, many, product = milliseconds([lambda: signals(1), lambda: signals(MANY), lambda: a @ a], repeats=7)
    seconds, peak = FRAMES / 100, 2 * 1024**3 / product  # operations per ms
    alone, share = (OPERATIONS * seconds * count / time / peak for count, time in ((1, one), (MANY, many)))
    least = f">= {_LEAST_SHARE:g}"
    return [
        faster("fargan, one signal: real time", one, 1e3 * seconds, _LEAST),
        faster("fargan, sixteen signals: one after the other", many, MANY * one, 1.2),
        Row("fargan, one signal, share of the speed of sgemm", one, product, "ms", alone, "", True),
        Row("fargan, sixteen signals, the same share", many, product, "ms", share, least, share >= _LEAST_SHARE),
    ]


def _training(model: FARGAN) -> Row:
    """Measure the loss and the gradients of one training batch, and return the row of the table.

    The peer is the same network without dspgraph's own code for gradients: torch derives all of them.
    """
    inputs, period = torch.randn(BATCH, CHUNK + 2, 20), torch.randint(32, 256, (BATCH, CHUNK + 2))
    past, true = 0.1 * torch.randn(BATCH, 256), 0.1 * torch.randn(BATCH, 160 * CHUNK)

    def ours() -> None:
        model.zero_grad()
        torch.autograd.backward(spectral_loss(true, model(inputs, period, past, true[:, :160])))

    def plain() -> None:
        model.zero_grad()
        conditions, states, made = model.condition(inputs, period).transpose(0, 1), model.start(past), []
        for k, condition in enumerate(conditions):
            samples, states = model.subframe(condition, places(period[:, 1 + k // 4], 40), states)
            made.append(samples)
            states = states._replace(memory=torch.cat((states.memory[:, 40:], samples), 1))
        torch.autograd.backward(_plain_loss(true, torch.cat(made, 1)))

    fast, slow = milliseconds([ours, plain], repeats=3)
    seconds = BATCH * CHUNK / 100
    name = f"fargan, a batch of training ({1e3 * seconds / fast:.3g} s of audio per CPU second): plain torch"
    return faster(name, fast, slow, 1.2)


def _plain_loss(true: torch.Tensor, made: torch.Tensor) -> torch.Tensor:
    """Return the loss `spectral_loss` of two signals [batch, n], written so that torch derives its gradients.

    true: the recordings; made: the output of the network.
    """
    total = torch.zeros(())
    for n in (2560, 1280, 640, 320, 160, 80):
        window = torch.hann_window(n)
        x, y = (torch.stft(one, n, n // 4, window=window, return_complex=True).abs() for one in (true, made))
        x, y = x.clamp(min=1e-7).sqrt(), y.clamp(min=1e-7).sqrt()
        total = total + (x - y).abs().sum() / x.sum() / 6
    return total

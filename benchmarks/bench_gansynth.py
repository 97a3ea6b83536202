"""Benchmark of GANSynth: CPU seconds for a note of 4 s, beside the same network in torch."""

import torch

from benchmarks.measure import Row, below, faster, milliseconds
from dspgraph_nodes._kernels.neural.gansynth_generator import generate, pack
from dspgraph_nodes.models.gansynth.config import PRESETS
from dspgraph_nodes.models.gansynth.network import Generator

_MOST_SECONDS = 0.8


def rows() -> list[Row]:
    """Measure the synthesis of a note by GANSynth, and return the rows of the table of results."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        torch.manual_seed(0)
        model = Generator(PRESETS["gansynth"]).eval()
        network = pack({name: value.detach().numpy() for name, value in model.state_dict().items()})
        latent, pitch = torch.randn(1, model.config.latent), torch.tensor([36])

        @torch.no_grad()
        def in_torch() -> object:
            return model(latent, pitch)

        ours, theirs = milliseconds([lambda: generate(network, latent[0].numpy(), 36), in_torch], repeats=5)
        return [
            faster("gansynth, a note of 128 x 1024: the network in torch", ours, theirs, 1.0),
            below("gansynth, a note of 4 s", ours / 1e3, _MOST_SECONDS, "s"),
        ]
    finally:
        torch.set_num_threads(threads)

"""The layout of GANSynth's weights in the published program, magenta, for tests."""

import re

import numpy as np

from dspgraph import Array
from dspgraph_nodes.models.gansynth.config import Config

PUBLISHED = Config(latent=12, blocks=4, channels=64, most_channels=16)
"""The configuration of a small network of the published program, whose outputs are recorded."""

_PARTS = {"to_rgb": "picture", "from_rgb": "picture", "logits": "score"}


def our_name(theirs: str) -> str:
    """Return the name of an array in `GansynthPair`, such as "generator.blocks.0.conv0.weight".

    theirs: its name in the published program; an array of the generator or of the discriminator.
    """
    leaf = "weight" if theirs.endswith("kernel") else "bias"
    if "classification_logits" in theirs:
        return f"discriminator.pitch.{leaf}"
    found = re.match(r"(Generator|Discriminator)/.*block_(\d+)/(\w+)/", theirs)
    assert found, theirs
    part = _PARTS.get(found[3], found[3])
    block = "" if part == "score" else f"blocks.{int(found[2]) - 1}."
    return f"{found[1].lower()}.{block}{part}.{leaf}"


def their_name(ours: str) -> str:
    """Return the name that the published program gives an array of the generator.

    ours: its name in a file of weights, such as "blocks.0.conv0.weight", without the prefix of `our_name`.
    """
    block, part, leaf = re.fullmatch(r"blocks\.(\d+)\.(\w+)\.(\w+)", ours).groups()  # type: ignore[union-attr]
    part = {"picture": "to_rgb"}.get(part, part)
    last = "conv2d/kernel" if leaf == "weight" else "bias"
    return f"Generator/progressive_gan_generator/progressive_gan_block_{int(block) + 1}/{part}/{last}"


def ours(array: Array) -> Array:
    """Return an array of the published program in the form that torch uses.

    The result is [outputs, inputs, rows, bins] or [outputs, inputs]; a bias [outputs] is unchanged.
    """
    return np.ascontiguousarray(array.transpose(3, 2, 0, 1) if array.ndim == 4 else array.T)


def theirs(array: Array) -> Array:
    """Return an array of torch in the form that the published program uses.

    The result is [rows, bins, inputs, outputs] or [inputs, outputs]; a bias [outputs] is unchanged.
    """
    return np.ascontiguousarray(array.transpose(2, 3, 1, 0) if array.ndim == 4 else array.T)

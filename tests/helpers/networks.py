"""Small LPCNets with random weights, which are the same in every run, and files of such weights."""

from pathlib import Path

import numpy as np

from dspgraph import Array
from dspgraph.registry import shipped_pipelines
from dspgraph_nodes.models.lpcnet.config import Config
from dspgraph_nodes.models.lpcnet.weights import WEIGHTS, shapes
from dspgraph_nodes.models.shared.weights import Numbers
from helpers.autoencoders import autoencoder_file
from helpers.autoencoders import tiny as tiny_autoencoder
from helpers.fargan import SMALL as SMALL_FARGAN
from helpers.fargan import fargan_file
from helpers.gansynth import overrides as gansynth_overrides
from helpers.wavenets import tiny, wavenet_file
from helpers.wavernn import SMALL as WAVERNNS
from helpers.wavernn import wavernn_file
from helpers.weight_files import shared_file

# A GRU_A of 48 units has three blocks of 16: an odd number.
SMALL = Config(pitch_embedding=4, condition=16, embedding=8, gru_a=48, gru_b=16)


def sized(gru_a: int, gru_b: int, **others: int) -> Config:
    """Return the configuration of an LPCNet with gru_a and gru_b units, whose other sizes are small.

    others: further fields of `Config`, such as hop and rate; the sizes that are small here cannot be among them.
    """
    return Config(pitch_embedding=2, condition=16, embedding=4, gru_a=gru_a, gru_b=gru_b, **others)


def random_arrays(config: Config, seed: int = 0, densities: tuple[float, ...] = (0.3, 0.3, 0.5)) -> dict[str, Array]:
    """Return the weights of a random network whose output depends on all inputs.

    densities: for each gate of GRU_A, about the share of recurrent weights that are not 0. Weights are 0 in pieces of
    16 rows and one column, but the diagonals are never 0.
    """
    draw = np.random.Generator(np.random.Philox(key=seed))
    arrays = {}
    for name, shape in shapes(config).items():
        fan = shape[-1] if name == "dual_fc.kernel" else int(np.prod(shape[1:], initial=1))
        wide = 1.0 if name.startswith("embed") else 0.3 if "bias" in name else 3 / np.sqrt(fan)
        arrays[name] = (wide * (2 * draw.random(shape) - 1)).astype(np.float32)
    arrays["dual_fc.factor"] += np.float32(2)
    units, recurrent = config.gru_a, arrays["gru_a.weight_hh_l0"]
    for gate, density in enumerate(densities):
        rows = recurrent[gate * units : (gate + 1) * units]
        kept = np.repeat(draw.random((units // 16, units)) < density, 16, axis=0)
        rows[~(kept | np.eye(units, dtype=bool))] = 0
    return arrays


def weights_file(
    config: Config = SMALL, seed: int = 0, folder: str | Path | None = None, numbers: Numbers = "float32"
) -> str:
    """Return the path of a file of random weights, and write the file if it does not exist.

    folder: by default a temporary folder that all test processes of a user share; numbers: the type of the numbers in
    the file.
    """
    return shared_file(WEIGHTS.content(config, random_arrays(config, seed), numbers=numbers), folder)


def overrides(pipeline: str, rate: int = SMALL.rate) -> list[str]:
    """Return the overrides that a shipped pipeline needs, such as "weights=FILE"; an empty list if it needs none.

    The files have random weights. pipeline: its name; `wavenet_phones` also gets points=4, which makes it fast. rate:
    the sample rate of the network, Hz; that of a GANSynth is always 800 Hz.
    """
    mel = {"bands": 80, "scales": (16, 16), "rate": rate}  # the bands and the hop of the pipeline `mel_features`
    files = {
        "lpcnet": lambda: weights_file(SMALL.replace(rate=rate)),
        "fargan": lambda: fargan_file(SMALL_FARGAN.replace(hop=160, rate=rate)),
        "wavenet": lambda: wavenet_file(tiny(**mel)),
        "wavenet_autoencoder": lambda: autoencoder_file(tiny_autoencoder(rate=rate, hop=256)),
        "wavenet_blend": lambda: autoencoder_file(tiny_autoencoder(rate=rate, hop=256)),
        "wavenet_pitch": lambda: autoencoder_file(tiny_autoencoder(rate=rate, hop=256, lowest=59, pitches=2)),
        "wavenet_phones": lambda: wavenet_file(tiny(**mel)),
        "wavernn": lambda: wavernn_file(
            WAVERNNS["one bias"].replace(features=80, rate=rate, factors=(16, 16), widths=(33, 33))
        ),
    }
    if pipeline == "mel_vocoder":
        return [f"{model}={files[model]()}" for model in ("lpcnet", "wavenet", "wavernn")]
    if pipeline in ("gansynth_notes", "gansynth_blend"):
        return gansynth_overrides()
    if pipeline == "fargan":
        return [f"weights={files['fargan']()}"]
    if pipeline == "bark_lpc_vocoder":
        return [f"weights={files['lpcnet']()}", f"fargan={files['fargan']()}"]
    if "weights: null" not in shipped_pipelines()[pipeline].read_text():
        return []
    fewer = ["points=4"] if pipeline == "wavenet_phones" else []  # makes the entropy, which takes the most time, fast
    return [f"weights={files[pipeline]()}", *fewer]

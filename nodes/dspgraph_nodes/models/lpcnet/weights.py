"""The names and shapes of the arrays in a file of LPCNet weights, without torch."""

from __future__ import annotations

from dspgraph_nodes._kernels.neural.lpcnet_codes import LEVELS
from dspgraph_nodes.models.lpcnet.config import Config
from dspgraph_nodes.models.shared.weights import WeightsFormat, gru_shapes


def shapes(config: Config) -> dict[str, tuple[int, ...]]:
    """Return name -> shape for every array of a network with this configuration.

    The names are those of the torch module.
    """
    c = config
    found: dict[str, tuple[int, ...]] = {
        "embed_pitch.weight": (LEVELS, c.pitch_embedding),
        "conv1.weight": (c.condition, c.bands + 2 + c.pitch_embedding, 3),
        "conv2.weight": (c.condition, c.condition, 3),
        "dense1.weight": (c.condition, c.condition),
        "dense2.weight": (c.condition, c.condition),
        "embed.weight": (LEVELS, c.embedding),
        "dual_fc.kernel": (2, LEVELS, c.gru_b),
        "dual_fc.bias": (2, LEVELS),
        "dual_fc.factor": (2, LEVELS),
    }
    found.update({f"{name}.bias": (c.condition,) for name in ("conv1", "conv2", "dense1", "dense2")})
    found |= gru_shapes("gru_a", 3 * c.embedding + c.condition, c.gru_a)
    return found | gru_shapes("gru_b", c.gru_a + c.condition, c.gru_b)


MATRICES = {
    "embed_pitch.weight": 1, "conv1.weight": 1, "conv2.weight": 1, "dense1.weight": 1, "dense2.weight": 1,
    "embed.weight": 1, "dual_fc.kernel": 2, "gru_a.weight_ih_l0": 1, "gru_a.weight_hh_l0": 1, "gru_b.weight_ih_l0": 1,
    "gru_b.weight_hh_l0": 1,
}  # fmt: skip
"""The arrays that a file in eight bits stores as int8: name -> the number of leading axes that index the rows."""

DIAGONALS = frozenset({"gru_a.weight_hh_l0", "gru_b.weight_hh_l0"})
"""The recurrent matrices, whose diagonals are stored separately, in float32."""

WEIGHTS = WeightsFormat(
    "lpcnet", Config, shapes, optional=frozenset({"rate", "hop"}), matrices=MATRICES, diagonals=DIAGONALS
)
"""The layout of a file of LPCNet's weights. If a file has no rate and hop, they are the published values."""

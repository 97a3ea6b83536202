"""LPCNet in torch.

A frame-rate network turns the features of a frame and of two frames on each side into a condition f. A sample-rate
network reads, for every sample, the mu-law codes of the last signal sample s[n-1], the prediction p[n] and the last
excitation e[n-1], and gives the probabilities of the codes of e[n]. E is an embedding:

    GRU_A([E(s), E(p), E(e), f]) -> GRU_B([h_A, f]) -> a1 * tanh(W1 @ h_B + b1) + a2 * tanh(W2 @ h_B + b2) -> softmax

Source: J.-M. Valin and J. Skoglund, LPCNet: Improving Neural Speech Synthesis Through Linear Prediction, ICASSP 2019.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from dspgraph_nodes._kernels.neural.lpcnet_codes import LEVELS
from dspgraph_nodes.models.lpcnet.config import Config


class DualFC(nn.Module):
    """Two dense layers side by side, weighted and summed: [..., inputs] to [..., outputs].

    y = a1 * tanh(W1 @ h + b1) + a2 * tanh(W2 @ h + b2)
    """

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        bound = math.sqrt(6 / (inputs + outputs))
        self.kernel = nn.Parameter(torch.empty(2, outputs, inputs).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.zeros(2, outputs))
        self.factor = nn.Parameter(torch.ones(2, outputs))

    def forward(self, h: Tensor) -> Tensor:
        """Return the weighted sum of the two layers, [..., outputs]. h: [..., inputs]."""
        both = torch.einsum("...i,koi->...ko", h, self.kernel) + self.bias
        return (self.factor * torch.tanh(both)).sum(-2)


class LPCNet(nn.Module):
    """LPCNet as a torch module. It reads features of the pipeline `lpcnet_features` and mu-law codes 0..255."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = c = config
        self.embed_pitch = nn.Embedding(LEVELS, c.pitch_embedding)
        nn.init.uniform_(self.embed_pitch.weight, -0.05, 0.05)
        self.conv1 = nn.Conv1d(c.bands + 2 + c.pitch_embedding, c.condition, 3, padding=1)
        self.conv2 = nn.Conv1d(c.condition, c.condition, 3, padding=1)
        self.dense1 = nn.Linear(c.condition, c.condition)
        self.dense2 = nn.Linear(c.condition, c.condition)
        self.embed = nn.Embedding(LEVELS, c.embedding)
        ramp = math.sqrt(12) * (torch.arange(LEVELS) - 127.5) / LEVELS
        noise = torch.empty(LEVELS, c.embedding).uniform_(-math.sqrt(3), math.sqrt(3))
        self.embed.weight = nn.Parameter(0.1 * (noise + ramp[:, None]))
        self.gru_a = nn.GRU(3 * c.embedding + c.condition, c.gru_a, batch_first=True)
        self.gru_b = nn.GRU(c.gru_a + c.condition, c.gru_b, batch_first=True)
        self.dual_fc = DualFC(c.gru_b, LEVELS)

    def condition(self, cepstrum: Tensor, pitch: Tensor, correlation: Tensor) -> Tensor:
        """Return the condition f of every frame, [batch, frames, condition].

        cepstrum: [batch, frames, bands]; pitch, correlation: [batch, frames], as `lpcnet_features` computes them. The
        input of each convolution is taken as 0 before the first frame and after the last, so two conditions at each
        end lack context.
        """
        index = torch.floor(0.1 + 50 * pitch + 100).clamp(33, 255).long()
        features = torch.cat((cepstrum, pitch[..., None], correlation[..., None], self.embed_pitch(index)), -1)
        x = torch.tanh(self.conv1(features.mT))
        x = torch.tanh(self.conv2(x)).mT
        return torch.tanh(self.dense2(torch.tanh(self.dense1(x))))

    def forward(
        self, f: Tensor, codes: Tensor, state: tuple[Tensor, Tensor] | None = None
    ) -> tuple[Tensor, Tensor, tuple[Tensor, Tensor]]:
        """Return logits [batch, samples, 256], outputs of GRU_B [batch, samples, gru_b], and last states of both GRUs.

        f: [batch, frames, condition], each row for samples / frames samples, a whole number; codes: [batch, samples,
        3], int64, the true codes of the last signal sample, the prediction and the last excitation (teacher forcing);
        state: the states of the GRUs before the first sample, [1, batch, units] each, 0 by default.
        """
        per_frame = codes.shape[1] // f.shape[1]
        f = f.repeat_interleave(per_frame, 1)
        a, b = state if state is not None else (None, None)
        h_a, a = self.gru_a(torch.cat((self.embed(codes).flatten(2), f), -1), a)
        h_b, b = self.gru_b(torch.cat((h_a, f), -1), b)
        return self.dual_fc(h_b), h_b, (a, b)

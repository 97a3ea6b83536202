"""A mixture of logistic distributions over the samples of a signal of 16 bits, or of another number of levels.

Source: T. Salimans, A. Karpathy, X. Chen, D. P. Kingma, PixelCNN++: Improving the PixelCNN with Discretized Logistic
Mixture Likelihood and Other Modifications, ICLR 2017.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor
from torch.nn.functional import log_softmax, logsigmoid


@dataclass(frozen=True)
class LogisticMixture:
    """A mixture of logistic distributions: K logits, then K means, then K log-scales for every sample.

    components: K; classes: the number of levels from -1 to 1; floor: the lowest log-scale: in the loss and in draws, a
    lower log-scale is replaced by it; None: no floor.

    `formula` chooses how the loss is computed. "exact": every class has the probability of its interval, and only the
    two outermost classes are open to infinity, so that the probabilities add up to 1. "published": the formula of the
    program wavenet_vocoder, for comparisons with its losses. It opens the interval of every target beyond +-0.999 to
    infinity, so that with 65536 classes the probabilities add up to as much as 30; and it approximates a probability
    below 1e-5 by density times width.
    """

    components: int = 10
    classes: int = 65536
    floor: float | None = -16.0
    formula: Literal["exact", "published"] = "exact"

    @property
    def width(self) -> int:
        """The number of parameters of one sample: 3 * K."""
        return 3 * self.components

    def loss(self, parameters: Tensor, target: Tensor) -> Tensor:
        """Return -ln P(target) of every sample [...], in nats.

        parameters: [..., 3 * K]; target: [...], from -1 to 1. With h = 1 / (classes - 1) and the formula "exact", a
        component of mean m and scale s gives a target y between the outermost classes the probability

            P = F(b) - F(a),    b = (y + h - m) / s,    a = (y - h - m) / s,    F(x) = 1 / (1 + exp(-x))
            ln P = -softplus(-b) - softplus(a) + ln(1 - exp(-2 * h / s))

        In the lowest class P = F(b), in the highest P = 1 - F(a).
        """
        exact = self.formula == "exact"
        wide = parameters if parameters.dtype == torch.float64 else parameters.float()
        logits, means, log_scales = wide.chunk(3, -1)
        if self.floor is not None:
            log_scales = log_scales.clamp(min=self.floor)
        h, rate, y = 1 / (self.classes - 1), torch.exp(-log_scales), target.unsqueeze(-1)
        b, a = (y - means + h) * rate, (y - means - h) * rate
        lowest, highest = logsigmoid(b), logsigmoid(-a)
        if exact:
            between = lowest + highest + torch.log(-torch.expm1(-2 * h * rate))
        else:
            difference, m = torch.sigmoid(b) - torch.sigmoid(a), (y - means) * rate
            narrow = m - log_scales + 2 * logsigmoid(-m) - math.log((self.classes - 1) / 2)
            between = torch.where(difference > 1e-5, difference.clamp(min=1e-12).log(), narrow)
        low, high = (y <= h - 1, y >= 1 - h) if exact else (y < -0.999, y > 0.999)
        each = torch.where(low, lowest, torch.where(high, highest, between))
        return -torch.logsumexp(log_softmax(logits, -1) + each, -1)

    def draw(self, parameters: Tensor, numbers: Tensor) -> Tensor:
        """Return a sample for every row [...], from -1 to 1, float64 and not rounded to a level.

        parameters: [..., 3 * K]; numbers: [..., K + 1], from 0 to 1: u_1 .. u_K choose the component, and v the value
        from this component.

            k = argmax_k(logit_k - ln(-ln u_k)),    x = mean_k + scale_k * (ln v - ln(1 - v)), limited to -1 .. 1
        """
        logits, means, log_scales = parameters.double().chunk(3, -1)
        if self.floor is not None:
            log_scales = log_scales.clamp(min=self.floor)
        u = numbers.double()
        k = (logits - torch.log(-torch.log(u[..., :-1]))).argmax(-1, keepdim=True)
        value = means.gather(-1, k) + log_scales.gather(-1, k).exp() * torch.logit(u[..., -1:])
        return value.squeeze(-1).clamp(-1, 1)

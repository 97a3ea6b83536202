"""Delay lines: ring buffers with the last values of a signal. The cost of a block does not depend on the delay."""

from dataclasses import dataclass

import numpy as np

from dspgraph_nodes._kernels.arrays import Array


@dataclass
class DelayLine:
    """A delay line: the last values of a signal, as many as the delay, which may be 0.

    values: [samples, ...], a ring buffer that is updated in place, of zeros before the signal begins; at: the index of
    the oldest value.
    """

    values: Array
    at: int = 0

    def oldest(self, count: int) -> Array:
        """Return a copy of the `count` oldest values, the oldest first. If there are fewer, return all."""
        first = self.values[self.at : self.at + count]
        return np.concatenate((first, self.values[: min(count, len(self.values)) - len(first)]))

    def push(self, x: Array) -> None:
        """Replace the oldest values by x, the next values of the signal. x may be longer than the line."""
        samples = len(self.values)
        if not samples:
            return
        x = x[max(0, len(x) - samples) :]
        first = min(len(x), samples - self.at)
        self.values[self.at : self.at + first] = x[:first]
        self.values[: len(x) - first] = x[first:]
        self.at = (self.at + len(x)) % samples

    def delayed(self, x: Array) -> Array:
        """Push x, the next values of the signal; return the signal delayed by the length of the line, [len(x), ...]."""
        late = np.concatenate((self.oldest(len(x)), x[: max(0, len(x) - len(self.values))]))
        self.push(x)
        return late

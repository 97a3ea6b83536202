"""Delay lines: the last values of a signal, in a ring. A block takes time for its own length, not for the delay."""

from dataclasses import dataclass

import numpy as np

from dspgraph_nodes._kernels.arrays import Array


@dataclass
class DelayLine:
    """The last values of a signal, as many as the delay: 0 before the signal. It is updated in place.

    values: [samples, ...]; at: the place of the oldest value.
    """

    values: Array
    at: int = 0

    def oldest(self, count: int) -> Array:
        """Return a copy of the oldest values, oldest first: `count`, or all if there are fewer."""
        first = self.values[self.at : self.at + count]
        return np.concatenate((first, self.values[: min(count, len(self.values)) - len(first)]))

    def push(self, x: Array) -> None:
        """Put the values x in the place of the oldest ones."""
        samples = len(self.values)
        if not samples:
            return
        x = x[max(0, len(x) - samples) :]
        first = min(len(x), samples - self.at)
        self.values[self.at : self.at + first] = x[:first]
        self.values[: len(x) - first] = x[first:]
        self.at = (self.at + len(x)) % samples

    def delayed(self, x: Array) -> Array:
        """Return x[n - samples] as a new array of the length of x, and put x into the line."""
        late = np.concatenate((self.oldest(len(x)), x[: max(0, len(x) - len(self.values))]))
        self.push(x)
        return late

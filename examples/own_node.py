"""A node of your own
==================

A node in one file outside of dspgraph, with a check of the laws and a graph that uses it.

::

    dspgraph nodes tremolo --plugin examples/own_node.py
    python examples/own_node.py
"""

import numpy as np

from dspgraph import Array, Audio, Field, Graph, Input, Node, Output, State
from dspgraph.io.audio import AudioSource, example_speech
from dspgraph.testing import Example, check_node


class Tremolo(Node):
    """Vary the level periodically: y[n] = x[n] * (1 - (depth / 2) * (1 - cos(2 * pi * speed * n / rate)))."""

    x = Input(Audio)
    y = Output(Audio)

    speed: float = Field(5.0, gt=0, le=20, description="frequency of the changes of the level, Hz")
    depth: float = Field(0.5, ge=0, le=1, description="0 keeps the level, 1 lowers it to silence")

    def start(self, x: Audio) -> State:
        return 0, float(x.rate)  # the number of samples before the next block, and the rate

    def step(self, state: State, x: Array) -> tuple[State, Array]:
        n, rate = state
        wave = np.cos(2 * np.pi * self.speed / rate * np.arange(n, n + len(x)))
        wave = wave.reshape(-1, *[1] * (x.ndim - 1))  # the same for all channels
        return (n + len(x), rate), (x * (1 - self.depth / 2 * (1 - wave))).astype(x.dtype)


# %%
# Only the program itself runs the rest, so that the file can also be a plugin. ``check_node`` checks the laws: whole,
# cut into blocks, in batches, in both precisions.

if __name__ == "__main__":
    import matplotlib.pyplot as plt

    stream = Audio(16000)
    speech = AudioSource(example_speech(), stream).read()
    check_node(Example(Tremolo(), x=(stream, speech[:20000])))
    check_node(Example(Tremolo(), x=(Audio(16000, channels=2), speech[:20000].reshape(-1, 2))))
    graph = Graph({"tremolo": Tremolo(speed=8)}, {"tremolo.x": "speech"}, {"speech": stream}, {"speech": "tremolo"})
    out = graph(speech=speech)["speech"]
    print(f"Tremolo keeps every law; {len(out)} samples, peak {abs(out).max():.2f}")
    figure, axis = plt.subplots(figsize=(8, 3), layout="constrained")
    for samples, name in ((speech, "before"), (out, "after")):
        axis.plot(np.arange(len(samples)) / 16000, samples, label=name, linewidth=0.5)
    axis.set(xlabel="s", xlim=(0, 4))
    axis.legend()
    plt.show()

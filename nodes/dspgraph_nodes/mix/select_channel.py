"""Selection of a channel."""

from dspgraph import Array, Audio, Field, Input, Node, Output, ParameterError, State


class SelectChannel(Node):
    """Take one channel of audio: y[n] = x[n, channel].

    Source: NumPy reference, "Indexing on ndarrays".
    """

    x = Input(Audio)
    y = Output(Audio)

    channel: int = Field(0, ge=0, description="number of the channel, counted from 0")

    def streams(self, x: Audio) -> tuple[Audio]:
        if self.channel >= x.channels:
            raise ParameterError(
                f"select_channel.channel is {self.channel}; {x} has channels 0 to {x.channels - 1}: take one of them"
            )
        return (x.like(channels=1),)

    def step(self, state: State, x: Array) -> tuple[State, Array]:
        return state, x.reshape(len(x), -1)[:, self.channel].copy()

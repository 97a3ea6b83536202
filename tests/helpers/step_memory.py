"""Memory that one block of a signal takes in a node."""

import tracemalloc

from dspgraph import Array, Audio, Node


def most_bytes_of_a_step(node: Node, stream: Audio, x: Array) -> int:
    """Return the most memory, in bytes, that a node with one output takes for a block, besides its state."""
    state, _ = node.step(node.start(stream), x)
    tracemalloc.start()
    try:
        node.step(state, x)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

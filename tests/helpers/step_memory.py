"""Measurement of the memory that a node takes for one block of a signal."""

import tracemalloc

from dspgraph import Array, Audio, Node


def most_bytes_of_a_step(node: Node, stream: Audio, x: Array) -> int:
    """Return the peak memory, in bytes, that a node with one output takes for a block x, in addition to its state.

    The output counts, and so does the new state where it is a copy. The block is given twice, and the second step is
    measured. stream: the stream of x.
    """
    state, _ = node.step(node.start(stream), x)
    tracemalloc.start()
    try:
        node.step(state, x)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

"""Loops over flat arrays with a number for every unit and lane: unit u of lane l stands at index u * lanes + l."""

from __future__ import annotations

import numpy as np

from dspgraph_nodes._kernels.arrays import Array
from dspgraph_nodes._kernels.compile.jit import kernel


@kernel
def copy(source: Array, target: Array, count: int) -> None:
    """Copy the first `count` numbers of source to target.

    This loop compiles ten times faster than an assignment of slices.
    """
    for i in range(count):
        target[i] = source[i]


@kernel
def add(a: Array, b: Array, target: Array, count: int) -> None:
    """Write a[i] + b[i] to target[i], for i = 0 .. count - 1."""
    for i in range(count):
        target[i] = a[i] + b[i]


@kernel
def add_column(x: Array, column: Array, values: Array) -> None:
    """Add values[lane] * column[u] to unit u of each lane of x, in place.

    x: flattened [units, lanes]; values: [lanes].
    """
    lanes = len(values)
    if lanes == 1:
        value = values[0]
        for u in range(len(column)):
            x[u] += value * column[u]
    else:
        for u in range(len(column)):
            for lane in range(lanes):
                x[u * lanes + lane] += values[lane] * column[u]


@kernel
def blend(x: Array, constants: Array, rows: Array, weights: Array, columns: Array, values: Array) -> None:
    """Write to x, for every lane, constant numbers plus interpolated rows plus weighted values.

        x[u] = constants[u] + sum_j weights[j] * rows[j, u] + sum_k values[k] * columns[k, u]

    x: flattened [n, lanes]; constants: flattened [n or more, lanes]; rows: [around, n * lanes]; weights: [around];
    columns: [inputs, n]; values: [inputs or more, lanes].
    """
    _, count = columns.shape
    copy(constants, x, count * values.shape[1])
    for j in range(len(weights)):
        weight, row = weights[j], rows[j]
        if weight != 0:
            for i in range(len(row)):
                x[i] += weight * row[i]
    for k in range(len(columns)):
        add_column(x, columns[k], values[k])


@kernel
def rectify(y: Array, constants: Array, first: int, state: Array, to: int, count: int) -> None:
    """Write max(0, y[i] + constants[first + i]) to state[to + i], for i = 0 .. count - 1."""
    for i in range(count):
        state[to + i] = max(np.float32(0), y[i] + constants[first + i])

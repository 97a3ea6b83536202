"""The backward passes of a GRU's gates and of LPCNet's last layer, DualFC, without the matrix products in them.

Each function goes through the rows of a batch once.
"""

from dspgraph_nodes._kernels.arrays import Array
from dspgraph_nodes._kernels.compile.jit import kernel


@kernel
def gru_step(
    of_state: Array, gates: Array, candidate: Array, inner: Array, before: Array, of_recurrent: Array,
    of_candidate: Array,
) -> None:  # fmt: skip
    """Compute the gradients of the loss L with respect to the gates of one GRU step from state h' to state h.

        h = (1 - z) * n + z * h',    n = tanh(a_n + r * g),    r = sigmoid(a_r),    z = sigmoid(a_z)

    Read: of_state: dL/dh [batch, units]; gates: r and z [batch, 2, units]; candidate: n [batch, units]; inner: g
    [batch, units]; before: h' [batch, units].
    Written: of_recurrent: dL/da_r, dL/da_z and dL/dg [batch, 3, units]; of_candidate: dL/da_n [batch, units];
    of_state: z * dL/dh, the part of dL/dh' that does not pass through a_r, a_z and g.
    """
    for b in range(len(of_state)):  # row by row, so that the compiler sees that the arrays do not overlap
        _gru_row(
            of_state[b], gates[b, 0], gates[b, 1], candidate[b], inner[b], before[b],
            of_recurrent[b, 0], of_recurrent[b, 1], of_recurrent[b, 2], of_candidate[b],
        )  # fmt: skip


@kernel
def _gru_row(
    of_state: Array, gate_r: Array, gate_z: Array, candidate: Array, inner: Array, before: Array,
    of_r: Array, of_z: Array, of_g: Array, of_n: Array,
) -> None:  # fmt: skip
    one = of_state.dtype.type(1)
    for k in range(len(of_state)):
        d, r, z, n = of_state[k], gate_r[k], gate_z[k], candidate[k]
        of_n[k] = d * (one - z) * (one - n * n)
        of_g[k] = of_n[k] * r
        of_r[k] = of_g[k] * inner[k] * (one - r)
        of_z[k] = d * (before[k] - n) * z * (one - z)
        of_state[k] = d * z


@kernel
def dual_fc(grad: Array, half: Array, factor: Array, of_twice: Array, of_factor: Array) -> None:
    """Compute the gradients of the loss L with respect to 2 * a and factor, from its gradient with respect to y.

        y = factor[0] * tanh(a[0]) + factor[1] * tanh(a[1])

    Read: grad: dL/dy [count, levels]; half: sigmoid(2 * a) [count, 2 * levels], so that tanh(a) = 2 * half - 1; factor:
    [2, levels].
    Written: of_twice: dL/d(2 * a) [count, 2 * levels]; of_factor: dL/dfactor [2, levels] is added to the numbers in it.
    """
    count, levels = grad.shape
    one, two = grad.dtype.type(1), grad.dtype.type(2)
    for b in range(count):
        for k in range(2):
            for i in range(levels):
                d, s = grad[b, i], half[b, k * levels + i]
                of_twice[b, k * levels + i] = two * d * factor[k, i] * s * (one - s)
                of_factor[k, i] += d * (two * s - one)

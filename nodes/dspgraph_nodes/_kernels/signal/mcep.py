"""Mel-cepstral analysis: the unbiased estimate of the log spectrum, by Newton's method, row by row."""

from functools import lru_cache

import numpy as np

from dspgraph_nodes._kernels.arrays import Array
from dspgraph_nodes._kernels.compile.jit import kernel
from dspgraph_nodes._kernels.maths.elementary import exp, log
from dspgraph_nodes._kernels.maths.matmul import matmul
from dspgraph_nodes._kernels.signal.freqt import bin_weights, log_power_to_mcep_matrix, mel_cosines

_TILE = 64  # rows processed together: their spectra stay in the cache
_FAR = 1e6  # where r[0] is larger, c[0] is set directly: Newton's method would need 14 steps of half a neper
_SLACK = 1e-12  # relative increase of the criterion E that rounding alone can cause
_RIDGE = 1e-12  # times r[0], is added to the diagonal of the Hessian, which is singular if one bin holds all power
_LONGEST_STEP = 4.0  # nepers: a step that increased E is tried again, shorter than this


def mel_cepstrum(power: Array, n_fft: int, order: int, alpha: float, tolerance: float, iterations: int) -> Array:
    """Return the mel-cepstra c [n, order + 1] that minimise E for given periodograms I [n, n_fft // 2 + 1].

        E = mean over the n_fft bins of (I / |H|**2 + ln(|H|**2)),    ln|H| = sum_m c[m] * cos(m * w~)

    power: I, float64, all above 0; w~: the frequency of a bin on the scale of the all-pass `alpha` (see the module
    `freqt`).

    E is convex. With r[m] = mean of (I / |H|**2 * cos(m * w~)), the gradient of E is 2 * ((-alpha)**m - r[m]) and its
    Hessian 2 * (r[i - j] + r[i + j]). Newton's method starts from the mel-cepstrum of ln(I). A row is finished when a
    step changes r[0] by less than tolerance * r[0] and lowers E by less than `tolerance`, or after `iterations` trials.
    """
    log_power = log(power)
    c = matmul(log_power, log_power_to_mcep_matrix(n_fft, order, alpha))
    for begin in range(0, len(c), _TILE):
        _minimise(log_power[begin : begin + _TILE], c[begin : begin + _TILE], n_fft, alpha, tolerance, iterations)
    return c


def _minimise(log_power: Array, best: Array, n_fft: int, alpha: float, tolerance: float, iterations: int) -> None:
    """Improve the mel-cepstra `best` [n, order + 1] in place by Newton's method.

    log_power: [n, bins], ln(I) of each row. The other arguments are those of `mel_cepstrum`. Rows that are finished are
    removed from the working arrays.
    """
    to_log_power, to_r, slope = _tables(n_fft, best.shape[1] - 1, alpha)
    left = np.arange(len(best))
    trial, accepted = best.copy(), best.copy()
    found = np.full((len(best), 2), np.inf)  # the criterion and r[0] of the accepted cepstra
    for _ in range(iterations + 1):
        r = matmul(exp(log_power - matmul(trial, to_log_power)), to_r)
        moving = np.empty(len(left), np.bool_)
        _newton(r, log(r[:, 0]) / 2, slope, tolerance, trial, accepted, found, moving)
        best[left] = accepted
        if not moving.any():
            return
        if not moving.all():
            log_power, left = log_power[moving], left[moving]
            trial, accepted, found = trial[moving], accepted[moving], found[moving]


@lru_cache(maxsize=16)
def _tables(n_fft: int, order: int, alpha: float) -> tuple[Array, Array, Array]:
    """Return three tables: the matrix from c to ln(|H|**2), the matrix from I / |H|**2 to r, and (-alpha)**m.

    Their shapes are [order + 1, bins], [bins, 2 * order + 1] and [order + 1].
    """
    cosines = mel_cosines(n_fft, 2 * order, alpha)
    slope = np.cumprod(np.r_[1.0, np.full(order, -alpha)])
    return 2 * cosines[: order + 1], np.ascontiguousarray((cosines * bin_weights(n_fft)).T), slope


@kernel
def _newton(
    r: Array, level: Array, slope: Array, tolerance: float, trial: Array, accepted: Array, found: Array, moving: Array
) -> None:
    """Accept or reject the trial mel-cepstrum of every row; set the next trial to a Newton step, or to a shorter step.

    r: [n, 2 * order + 1], as in `mel_cepstrum`, for the trials. level: [n], ln(r[0]) / 2, the change of c[0] that gives
    the best gain; in a row with r[0] > _FAR only c[0] is changed. slope: (-alpha)**m. trial, accepted: [n, order + 1],
    the trial and the best mel-cepstrum of each row, changed in place. found: [n, 2], E and r[0] of the accepted rows,
    updated. moving: [n], set to False for rows that are finished, else to True. tolerance: as in `mel_cepstrum`.
    """
    width = len(slope)
    a, step = np.empty((width, width)), np.empty(width)
    for n in range(len(r)):
        now, good = trial[n], accepted[n]
        total, moving[n] = r[n, 0], True
        criterion = total
        for m in range(width):
            criterion += 2 * now[m] * slope[m]
        if not criterion <= found[n, 0] + _SLACK * (1 + abs(found[n, 0])):
            reach = 0.0
            for m in range(width):
                reach += abs(now[m] - good[m])
            for m in range(width):
                now[m] = good[m] + (now[m] - good[m]) * (_LONGEST_STEP / (_LONGEST_STEP + reach))
            continue
        gained, change = found[n, 0] - criterion, abs(total - found[n, 1])
        found[n, 0], found[n, 1] = criterion, total
        for m in range(width):
            good[m] = now[m]
        if change < tolerance * total and gained < tolerance:
            moving[n] = False
            continue
        if total > _FAR:
            now[0] += level[n]
            continue
        for i in range(width):
            step[i] = r[n, i] - slope[i]
            for j in range(i, width):
                a[i, j] = r[n, j - i] + r[n, i + j]
            a[i, i] += _RIDGE * total
        # Gaussian elimination of the Hessian, symmetric and positive, and of the right-hand side `step`.
        for k in range(width):
            pivot, upper = a[k, k], a[k]
            for i in range(k + 1, width):
                factor = upper[i] / pivot
                step[i] -= factor * step[k]
                row, above = a[i, i:], upper[i:]
                for j in range(len(row)):
                    row[j] -= factor * above[j]
        for i in range(width - 1, -1, -1):
            moved = step[i]
            for j in range(i + 1, width):
                moved -= a[i, j] * step[j]
            step[i] = moved / a[i, i]
            now[i] += step[i]

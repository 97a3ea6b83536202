"""Benchmark of the STFT and its inverse on 60 s at 16 kHz, float32, and of Griffin-Lim on 10 s, against librosa."""

import librosa
import numpy as np
import soundfile

from benchmarks.measure import Row, faster, milliseconds
from dspgraph import Array
from dspgraph.io.audio import example_speech
from dspgraph_nodes._kernels.signal.windows import window_values
from dspgraph_nodes.spectrum.griffin_lim import griffin_lim
from dspgraph_nodes.spectrum.istft import istft
from dspgraph_nodes.spectrum.stft import stft

N_FFT, HOP = 1024, 256
FIRST = -512  # first sample of frame 0, as in librosa: frame k is centred on sample k * hop
MIDDLE = -384  # the default of the nodes: frame k is centred on sample k * hop + hop / 2


def rows() -> list[Row]:
    """Measure the STFT, its inverse, and 32 iterations of Griffin-Lim; return the rows of the table.

    The iterations begin with random phases.
    """
    clip, _ = soundfile.read(str(example_speech()), dtype="float32")
    x = np.resize(clip, 60 * 16000)
    window = window_values("hann", "none", N_FFT, x.dtype)
    spectrum, theirs = stft(x, window, HOP, FIRST), librosa.stft(x, n_fft=N_FFT, hop_length=HOP)
    inner = slice(2, -2)  # librosa has one frame more and pads the end in another way, so the frames at the ends differ
    off = np.abs(spectrum[inner] - theirs.T[: len(spectrum)][inner]).max()
    # The measured difference is 3e-7: librosa computes in float64, then rounds to float32.
    assert off <= 1e-6 * np.abs(spectrum).max()
    back = istft(spectrum, window, HOP, FIRST)
    their_back = librosa.istft(theirs, hop_length=HOP, n_fft=N_FFT)
    assert np.abs(back - x).max() <= 1e-6
    assert np.abs(their_back - x[: len(their_back)]).max() <= 1e-6

    ten = x[: 10 * 16000]
    ours, other = np.abs(stft(ten, window, HOP, MIDDLE)), np.abs(librosa.stft(ten, n_fft=N_FFT, hop_length=HOP))

    def sought(seed: int = 0) -> Array:
        phase = (2 * np.pi * np.random.default_rng(seed).random(ours.shape)).astype(np.float32)
        return griffin_lim(ours, phase, window, HOP, MIDDLE, 32)

    def peer_sought(seed: int = 0) -> Array:
        return np.asarray(librosa.griffinlim(other, n_iter=32, hop_length=HOP, random_state=seed))

    # The random phases change the error by 1 dB, so take the mean of five: -24.5 dB here, -24.3 dB in librosa.
    seeds = range(5)
    left = np.mean([decibel(np.abs(stft(sought(s), window, HOP, MIDDLE)), ours) for s in seeds])
    peer_left = np.mean(
        [decibel(np.abs(librosa.stft(peer_sought(s), n_fft=N_FFT, hop_length=HOP)), other) for s in seeds]
    )
    assert left <= peer_left, (left, peer_left)

    there, peer_there, inverse, peer_inverse, found, peer_found = milliseconds(
        [
            lambda: stft(x, window, HOP, FIRST),
            lambda: librosa.stft(x, n_fft=N_FFT, hop_length=HOP),
            lambda: istft(spectrum, window, HOP, FIRST),
            lambda: librosa.istft(theirs, hop_length=HOP, n_fft=N_FFT),
            sought,
            peer_sought,
        ]
    )
    return [
        faster("stft, 60 s, 1024 / 256: librosa", there, peer_there, 1.6),
        faster("istft, 60 s, 1024 / 256: librosa", inverse, peer_inverse, 2.5),
        faster("griffin_lim, 10 s, 32 rounds: librosa", found, peer_found, 2.4),
    ]


def decibel(found: Array, wanted: Array) -> float:
    """Return the error of magnitudes relative to the wanted magnitudes, dB: 20 * log10(|found - wanted| / |wanted|)."""
    return float(20 * np.log10(np.linalg.norm(found - wanted) / np.linalg.norm(wanted)))

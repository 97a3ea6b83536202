"""Compare excitations
===================

Run a vocoder with each of its excitations: hear them, see them, and print the signal-to-noise ratio and the latency of
each.

::

    python examples/compare_excitations.py [FILE]
"""

import sys

import matplotlib.pyplot as plt
import numpy as np

from dspgraph import Audio, Pipeline, Sound, load
from dspgraph.io.audio import AudioSource, example_speech

speech = AudioSource(sys.argv[1] if len(sys.argv) > 1 else example_speech(), Audio(16000)).read()
Sound(speech, 16000)  # a player, on the page of this example and in a notebook

# %%
# The vocoder is a graph. Its slot ``excitation`` has several variants.

load("lpc_vocoder")

# %%
# Everything but the excitation stays. With ``residual``, the excitation that the analysis leaves over, the speech comes
# back; the others keep less of it.

excitations = Pipeline("lpc_vocoder").slots["excitation"]
sounds = {}
for excitation in excitations:
    graph = load("lpc_vocoder", swap={"excitation": excitation})
    sounds[excitation] = graph(speech)["speech"]
    snr = 10 * np.log10((speech**2).sum() / ((sounds[excitation] - speech) ** 2).sum())
    latency = float(graph.latency().seconds) * 1000
    print(f"{excitation:15} SNR {snr:6.1f} dB   latency {latency:6.1f} ms")

# %%
figure, axes = plt.subplots(len(sounds), sharex=True, figsize=(8, 2 * len(sounds)), layout="constrained")
for axis, (excitation, sound) in zip(axes, sounds.items(), strict=True):
    axis.specgram(sound + 1e-6, NFFT=512, noverlap=384, Fs=16000, vmin=-120, vmax=-30, cmap="magma")
    axis.set_ylabel(excitation)
plt.show()

# %%
# A whisper has noise in place of the pitch.

Sound(sounds["whisper"], 16000)

"""Look inside a vocoder
=====================

Take streams out of a graph: the pitch and the formants of a recording, drawn over its spectrogram.

::

    python examples/look_inside.py [FILE]
"""

import sys

import matplotlib.pyplot as plt
import numpy as np

from dspgraph import Audio, load
from dspgraph.io.audio import AudioSource, example_speech

speech = AudioSource(sys.argv[1] if len(sys.argv) > 1 else example_speech(), Audio(16000)).read()
graph = load("lpc_vocoder", order=18)
print("\n".join(f"{name:12} {node.type_name}" for name, node in graph.nodes.items()))

# %%
# ``tap`` adds any stream to the outputs. A stream knows the times of its rows.

tapped = graph.tap("pitch", "lpc")
streams = tapped(speech)
pitch, lpc = streams["pitch"][:, 0], streams["lpc"]
print(f"{len(pitch)} values of the pitch, median {np.median(pitch[pitch > 0]):.0f} Hz; {len(lpc)} filters")

# %%
# The spectrum of the all-pole filter of each frame is the envelope of the speech: its maxima are the formants.

times = tapped.outputs["lpc"].times(len(lpc))
polynomial = np.concatenate((np.ones((len(lpc), 1)), lpc[:, 1:]), axis=1)
envelope = lpc[:, :1] / np.abs(np.fft.rfft(polynomial, 512))
figure, axes = plt.subplots(2, sharex=True, figsize=(8, 6), layout="constrained")
axes[0].specgram(speech + 1e-6, NFFT=512, noverlap=384, Fs=16000, vmin=-120, vmax=-30, cmap="magma")
axes[0].plot(tapped.outputs["pitch"].times(len(pitch)), np.where(pitch > 0, pitch, np.nan), color="cyan")
axes[0].set(ylim=(0, 1500), ylabel="pitch [Hz]")
levels = 20 * np.log10(np.maximum(envelope, 1e-6)).T
axes[1].imshow(levels, origin="lower", aspect="auto", cmap="magma", extent=(times[0], times[-1], 0, 8000), vmin=-60)
axes[1].set(ylim=(0, 5000), ylabel="envelope [Hz]", xlabel="s")
plt.show()

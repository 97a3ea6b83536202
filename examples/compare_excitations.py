"""Run a vocoder with each of its excitations, and print the signal-to-noise ratio and the latency of each.

python examples/compare_excitations.py [FILE]
"""

import sys

import numpy as np

from dspgraph import Audio, load
from dspgraph.io.audio import AudioSource, example_speech
from dspgraph.pipeline.pipeline import Pipeline

stream = Audio(16000)
speech = AudioSource(sys.argv[1] if len(sys.argv) > 1 else example_speech(), stream).read()
for excitation in Pipeline("lpc_vocoder").slots["excitation"]:
    graph = load("lpc_vocoder", swap={"excitation": excitation})
    resynthesised = graph(speech=speech)["speech"]
    snr = 10 * np.log10((speech**2).sum() / ((resynthesised - speech) ** 2).sum())
    latency = float(graph.latency().seconds) * 1000
    print(f"{excitation:15} SNR {snr:6.1f} dB   latency {latency:6.1f} ms")

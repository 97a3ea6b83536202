"""How a graph runs: plans, sessions for one signal, batches for many, instruments that watch."""

"""Program of `make bench`: it runs all benchmarks and prints one table. The exit code is 1 if a promise is not kept."""

import sys

from benchmarks import (
    bench_engine,
    bench_features,
    bench_gansynth,
    bench_lpc,
    bench_lpcnet,
    bench_memory,
    bench_mlpg,
    bench_rendering,
    bench_sptk,
    bench_start,
    bench_stft,
    bench_wavenet,
    bench_wavenet_autoencoder,
    bench_wavernn,
)

TOPICS = (
    bench_engine,
    bench_stft,
    bench_lpc,
    bench_sptk,
    bench_mlpg,
    bench_features,
    bench_lpcnet,
    bench_wavenet,
    bench_wavenet_autoencoder,
    bench_wavernn,
    bench_gansynth,
    bench_memory,
    bench_rendering,
    bench_start,
)


def main() -> None:
    """Run all benchmarks, print the table, and exit."""
    rows = [row for topic in TOPICS for row in topic.rows()]
    width = max(len(row.name) for row in rows)
    print(f"{'subject: peer':{width}}  {'ours':>10}  {'peer':>10}        {'figure':>8}  promised")
    for row in rows:
        peer = "" if row.peer != row.peer else f"{row.peer:10.3g}"
        verdict = "" if row.met else "  NOT MET"
        print(
            f"{row.name:{width}}  {row.ours:10.3g}  {peer:>10}  {row.unit:4}  {row.figure:8.2f}  {row.target}{verdict}"
        )
    sys.exit(not all(row.met for row in rows))


if __name__ == "__main__":
    main()

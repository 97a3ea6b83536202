"""Command line of the benchmarks, for `make bench`: run all, or the named ones, and print their results as one table.

`python -m benchmarks lpcnet start` runs two of them. The rows of a benchmark are printed when it ends. The exit code is
1 if a promise about speed or memory is not kept.
"""

import os
import sys
from importlib import import_module

TOPICS = (
    "engine",
    "stft",
    "lpc",
    "sptk",
    "mlpg",
    "performance",
    "pitch",
    "fargan",
    "features",
    "lpcnet",
    "wavenet",
    "wavenet_autoencoder",
    "wavernn",
    "gansynth",
    "memory",
    "rendering",
    "start",
)
"""The names of the benchmarks. Their modules, `bench_NAME`, are imported one by one: some need other programs."""

WIDTH = 76
"""Width of the column with the names of the rows, in characters."""


def main(names: list[str]) -> int:
    """Run the benchmarks with these names, or all if no name is given; print the table, and return the exit code.

    The exit code is 0 if every promise is kept, 1 if not, and 2 if a name is unknown.
    """
    # Figures are of one core. The threads of BLAS and OpenMP, which wait for work in a loop, would count as CPU time.
    os.environ["OMP_NUM_THREADS"] = "1"
    if unknown := [name for name in names if name not in TOPICS]:
        print(f"there is no benchmark '{unknown[0]}'; there are: {', '.join(TOPICS)}", file=sys.stderr)
        return 2
    print(f"{'subject: peer':{WIDTH}}  {'ours':>10}  {'peer':>10}        {'figure':>8}  promised")
    kept = True
    for name in names or TOPICS:
        for row in import_module(f"benchmarks.bench_{name}").rows():
            peer = "" if row.peer != row.peer else f"{row.peer:10.3g}"
            verdict = "" if row.met else "  NOT MET"
            print(
                f"{row.name:{WIDTH}}  {row.ours:10.3g}  {peer:>10}  {row.unit:4}  {row.figure:8.2f}  "
                f"{row.target}{verdict}",
                flush=True,
            )
            kept &= row.met
    return int(not kept)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

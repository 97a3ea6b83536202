"""The command line, started by `python -m dspgraph`."""

from dspgraph.cli.main import main

main()

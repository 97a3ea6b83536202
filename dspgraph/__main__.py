"""`python -m dspgraph`."""

from dspgraph.cli.main import main

main()

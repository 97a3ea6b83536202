"""`python -m dspgraph`."""

from dspgraph.cli import main

main()

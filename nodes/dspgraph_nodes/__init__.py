"""The nodes that come with dspgraph, one file each."""

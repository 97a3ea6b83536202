"""Side by side with peers: `make bench` prints one table of ratios."""

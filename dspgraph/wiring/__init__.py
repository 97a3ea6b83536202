"""What a graph is: nodes wired together and checked. Nothing runs here."""

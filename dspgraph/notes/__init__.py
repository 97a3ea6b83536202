"""Scores (notes with their times), and a player that makes the sound of each note with a pipeline."""

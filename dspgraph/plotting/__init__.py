"""Pictures of sound: spectrograms, rainbowgrams, predicted distributions."""

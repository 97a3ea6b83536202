"""The samples that the frames of a signal determine, if the frames come in blocks."""

from __future__ import annotations


class FrameClock:
    """The count of the frames and samples of one signal.

    Frame k determines the samples from hop * k - lead up to hop * (k + 1) - lead; frame 0 determines none before sample
    0, and the last frame all up to the end of the signal, hop samples for each frame received. hop: samples per frame;
    lead: hop / 2 for frames whose window is centred on the start of their span, 0 for frames that hold in their span.
    """

    def __init__(self, hop: int, lead: int) -> None:
        self.hop, self.lead = hop, lead
        self.received, self.done = 0, 0  # numbers of frames

    def _first_sample(self, frame: int) -> int:
        return max(0, self.hop * frame - self.lead)

    def receive(self, frames: int) -> None:
        """Count frames that have come."""
        self.received += frames

    def advance(self, frames: int, last: bool = False) -> tuple[int, int]:
        """Return the number of samples that the next `frames` frames determine, and how many the first one determines.

        last: whether these are the last frames of the signal.
        """
        begin = self._first_sample(self.done)
        end = self.hop * self.received if last else self._first_sample(self.done + frames)
        wait = self._first_sample(self.done + 1) - begin
        self.done += frames
        return end - begin, wait

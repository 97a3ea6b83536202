"""Logs of training runs: a CSV file, files for TensorBoard, audio and pictures."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from PIL import Image
from torch import from_numpy
from torch.utils.tensorboard import SummaryWriter

from dspgraph import RequestError
from dspgraph_nodes._kernels.arrays import Array
from dspgraph_nodes.models.shared.atomic import write_atomically


def _whole_rows(path: Path) -> tuple[list[str], list[dict[str, str]]]:
    """Return (names of the columns, rows) of a CSV log; a row is name of the column -> text.

    A last line without a line end, left by a run that was killed, is dropped. The column of an empty file is "step".

    Raises RequestError if the file is not a log.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
        table = csv.DictReader(line for line in lines if line.endswith("\n"))
        names, rows = list(table.fieldnames or ("step",)), list(table)
        if "step" in names and all(row["step"].isdecimal() and None not in row for row in rows):
            return names, rows
    except (KeyError, AttributeError, UnicodeDecodeError, csv.Error):
        pass
    raise RequestError(f"{path} is no log of a run, with a column 'step': move it away; the run goes on without it")


class Logs:
    """The logs of a run: `logs/metrics.csv`, `logs/events.*`, `audio/*.wav` and `pictures/*.png` in its folder.

    out: the folder; names: the columns of the CSV file besides `step`; done: the number of batches after which the run
    continues, or 0 for a new run. A run that continues keeps the columns and rows that its CSV file has already, except
    rows of batches after `done`, which an interrupted run has left. A new run replaces the CSV file. Raises
    RequestError if the run continues and its CSV file is not a log.
    """

    def __init__(self, out: Path, names: Sequence[str], done: int) -> None:
        self._out = out
        folder = out / "logs"
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / "metrics.csv"
        before, rows = _whole_rows(path) if done and path.is_file() else (["step"], [])
        columns = list(dict.fromkeys((*before, *names)))
        text = io.StringIO()
        writer = csv.DictWriter(text, columns, restval="")
        writer.writeheader()
        writer.writerows(row for row in rows if int(row["step"]) <= done)
        write_atomically(path, text.getvalue().encode())
        self._file = path.open("a", buffering=1, newline="", encoding="utf-8")  # a row is seen at once
        self._csv = csv.DictWriter(self._file, columns, restval="")
        self._board: Any = SummaryWriter(str(folder), purge_step=done + 1 if done else None)

    def write(self, step: int, values: Mapping[str, float]) -> None:
        """Write the values of a batch to the CSV file and for TensorBoard.

        step: the number of the batch; values: by the names of columns; columns without a value stay empty.
        """
        self._csv.writerow({"step": step, **values})
        for name, value in values.items():
            self._board.add_scalar(name, value, step)

    def audio(self, step: int, name: str, samples: Array, rate: int) -> None:
        """Write a WAV file of 16 bits, such as audio/00001000_NAME.wav, and a sound for TensorBoard.

        step: the number of batches so far; name: NAME; samples: [n], full scale +-1; samples beyond it are clipped;
        rate: Hz.
        """
        folder = self._out / "audio"
        folder.mkdir(exist_ok=True)
        x = np.clip(np.asarray(samples, np.float32), -1, 1)
        content = io.BytesIO()
        soundfile.write(content, x, rate, format="WAV", subtype="PCM_16")
        write_atomically(folder / f"{step:08d}_{name}.wav", content.getbuffer())
        self._board.add_audio(name, from_numpy(x)[None], step, rate)

    def picture(self, step: int, name: str, colours: Array) -> None:
        """Write a PNG file, such as pictures/00001000_NAME.png, and a picture for TensorBoard.

        step: the number of batches so far; name: NAME; colours: [bins, columns, 3], red, green and blue from 0 to 1,
        with row 0 at the bottom.
        """
        folder = self._out / "pictures"
        folder.mkdir(exist_ok=True)
        pixels = np.round(255 * colours[::-1]).astype(np.uint8)
        content = io.BytesIO()
        Image.fromarray(pixels).save(content, format="PNG")
        write_atomically(folder / f"{step:08d}_{name}.png", content.getbuffer())
        self._board.add_image(name, pixels, step, dataformats="HWC")

    def flush(self) -> None:
        """Write everything to the disk."""
        self._file.flush()
        self._board.flush()

    def close(self) -> None:
        """Write everything to the disk and close the files."""
        self._file.close()
        self._board.close()

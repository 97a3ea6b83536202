"""The notes of NSynth: its file `examples.json`, beside a folder `audio` with a file for each note.

The file is one object: the name of each note, such as "bass_synthetic_033-022-050", with an object of its properties.
Source: J. Engel et al., Neural Audio Synthesis of Musical Notes with WaveNet Autoencoders, ICML 2017, and the page
"The NSynth Dataset" of the project Magenta.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from dspgraph.errors import RequestError
from dspgraph.rendering.columns import label_text, make_item
from dspgraph.rendering.item import Item
from dspgraph.shown import shown

_NAME = "note_str"
_SOURCES = {"timbre": "instrument_str"}
"""Label -> property of a note, for a label whose property has another name."""


def is_nsynth(beginning: bytes) -> bool:
    """Return whether a file lists notes of NSynth: an object whose first value is an object with the key "note_str".

    beginning: the first bytes of the file, after decompression. "note_str" must be among them.
    """
    return re.match(rb'(\xef\xbb\xbf)?\s*\{\s*"[^"]*"\s*:\s*\{[^{}]*"note_str"\s*:', beginning) is not None


def nsynth_items(path: Path, content: Mapping[str, Any], labels: Collection[str]) -> Iterator[Item]:
    """Yield an item for each note; its id is the name of the note, its file audio/NAME.wav beside `path`.

    path: the file examples.json. content: the object in the file. labels: the names of the labels to keep in the items:
    properties of NSynth, such as "pitch" (MIDI number), or "timbre" for the name of the instrument. A label that a note
    does not have is left out. Raises RequestError for a note that is not an object with its own name in "note_str", and
    for a label that is neither a text nor a number.
    """
    for name, note in content.items():
        place = f"{path}, note {shown(name)}"
        if not isinstance(note, dict) or note.get(_NAME) != name:
            raise RequestError(f"{place}: must be an object with '{_NAME}': {shown(name)}: copy the file again")
        item = make_item(place, name, path.parent, f"audio/{name}.wav")
        found = {label: note.get(_SOURCES.get(label, label)) for label in labels}
        texts = {label: label_text(place, label, value) for label, value in found.items() if value is not None}
        yield replace(item, labels=texts)

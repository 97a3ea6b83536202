"""The output files of items: their paths, checks of these paths, and the making of their folders."""

from __future__ import annotations

import os
import tempfile
from collections import Counter
from collections.abc import Iterable, Sequence, Set
from pathlib import Path

from dspgraph.errors import FileError, RequestError
from dspgraph.graph import Graph
from dspgraph.io.arrays import STREAMS
from dspgraph.io.arrays import SUFFIX as ARRAYS
from dspgraph.io.formats import has_file_rate
from dspgraph.rendering.item import Item
from dspgraph.streams import Audio


def output_paths(graph: Graph, out: Path, id: str, suffix: str) -> dict[str, Path]:
    """Return name of an output -> file, for all outputs of a graph, for the item `id` in the folder `out`.

    Audio outputs have one file each, with `suffix`. If there are several, each file name contains the name of the
    output, in which dots replace slashes. All other outputs share one .npz file.
    """
    audio = [name for name, stream in graph.outputs.items() if isinstance(stream, Audio)]
    paths = {}
    for name in graph.outputs:
        middle = _middle(name) if name in audio and len(audio) > 1 else ""
        paths[name] = out / f"{id}{middle}{suffix if name in audio else ARRAYS}"
    return paths


def _middle(name: str) -> str:
    """Return the part of a file name that says which output the file has: ".voice.lpc" for the output `voice/lpc`."""
    return f".{name.replace('/', '.')}"


def check_outputs(graph: Graph) -> None:
    """Raise RequestError for an output of a graph that cannot be written to a file.

    An output cannot be written if it is audio with a rate that no audio file can have, if its name is reserved in .npz
    files and it is not audio, or if it is audio and its file would be that of another audio output.
    """
    audio = [name for name, stream in graph.outputs.items() if isinstance(stream, Audio)]
    for name, stream in graph.outputs.items():
        if isinstance(stream, Audio) and not has_file_rate(stream):
            raise RequestError(
                f"an audio file has a whole number of samples per second below 2**31; the output '{name}' is {stream}"
            )
        if name == STREAMS and name not in audio:
            raise RequestError(f"the output '{name}' has a name that is reserved in {ARRAYS} files: rename it")
    owners: dict[str, str] = {}
    for name in audio:
        if (other := owners.setdefault(_middle(name), name)) != name:
            raise RequestError(
                f"the outputs '{other}' and '{name}' would both be written to a file '{_middle(name)}': rename one"
            )


def check_targets(items: Sequence[Item], targets: Sequence[Set[Path]]) -> None:
    """Raise RequestError if two items have an output file in common, or if an output file would replace an input file.

    targets: the set of output files of each item, in the order of the items.
    """
    counts = Counter(path for paths in targets for path in paths)
    if shared := [path for path, count in counts.items() if count > 1]:
        target = min(shared)
        same = [item for item, paths in zip(items, targets, strict=True) if target in paths]
        if all(item == same[0] for item in same):
            raise RequestError(f"{same[0].path} is named {len(same)} times: name it once")
        more = f" and {len(same) - 3} more" if len(same) > 3 else ""
        found = f"{' and '.join(str(item.path) for item in same[:3])}{more}"
        if len({item.path for item in same}) == 1:
            found = f"{len(same)} parts of {same[0].path}"
        how_many = "both" if len(same) == 2 else "all"
        raise RequestError(
            f"{found} would {how_many} be written to {target}: give them other names or ids, or render them apart"
        )
    check_overwrites((path for item in items for path in item.files), targets)


def check_overwrites(files: Iterable[Path], targets: Iterable[Set[Path]]) -> None:
    """Raise RequestError if an output file would replace an input file, also through a link.

    files: the input files. targets: sets of output files.
    """
    inputs = {os.path.realpath(path) for path in files}  # Path.resolve fails for a link to itself
    targets = list(targets)
    folders = {parent: os.path.realpath(parent) for parent in {path.parent for paths in targets for path in paths}}
    for paths in targets:
        for target in sorted(paths):
            real = os.path.join(folders[target.parent], target.name)
            if (os.path.realpath(real) if os.path.islink(real) else real) in inputs:
                raise RequestError(f"{target} would overwrite an input file: choose another folder")


def is_inside(out: Path, folder: Path) -> bool:
    """Return whether `folder`, after links are followed, is the output folder or lies in it."""
    return Path(os.path.realpath(folder)).is_relative_to(os.path.realpath(out))


def make_inside(out: Path, folder: Path) -> None:
    """Make `folder`, which lies in the output folder `out`, with all folders above it; it may exist already.

    Raises FileError if a link leads out of the output folder, and if the folder cannot be made.
    """
    if not is_inside(out, folder):
        raise FileError(f"{folder} leads out of {out}, through a link: nothing is written there")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise FileError(f"the folder {folder} cannot be made: {error.strerror or error}") from None


def make_folder(out: Path) -> None:
    """Make the output folder, and the folders above it, if they do not exist.

    Raises RequestError if the folder cannot be made, or if files cannot be written to it.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=out).close()  # it has no name: nothing is left if the process is killed here
    except OSError as error:
        raise RequestError(
            f"the folder {out} cannot be written to: {error.strerror or error}: choose another"
        ) from None

"""Training the models behind nodes: found by name, as nodes are, each in files of its own.

A model NAME is trained by `dspgraph_nodes/models/NAME/training.py`, which has

    PIPELINE            the pipeline that gives what is learnt from
    Settings            a pydantic model of the settings of a run
    TrainingError       what it raises for data that cannot be learnt from, and runs that cannot be resumed
    train(recordings, features, out, settings, resume, progress, report) -> file of the weights

where recordings are arrays by name and features(samples) gives the outputs of the pipeline, and looked into by
`dspgraph_nodes/models/NAME/distribution.py`, which has PIPELINE and

    distribution(weights, samples, features) -> (probabilities [n, size], true levels [n], rate)
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any

from pydantic import ValidationError

from dspgraph.errors import FileError, ParameterError, RequestError, UnknownName, suggest
from dspgraph.io.audio import AUDIO_SUFFIXES, AudioSource, open_item
from dspgraph.parameters import complaint_sentence
from dspgraph.pipeline.pipeline import load
from dspgraph.registry import PACK
from dspgraph.rendering.corpus import gather
from dspgraph.streams import Array

EXTRA = {"lightning", "tensorboard"}
"""What is installed with dspgraph[train] alone."""


def train(
    model: str,
    data: Path,
    out: Path,
    settings: Mapping[str, str],
    resume: bool = False,
    progress: bool = False,
    report: Callable[[str], None] = lambda line: None,
) -> Path:
    """Train a model on recordings, and give the file of its weights.

    data: a folder, a pattern, a manifest or one file, as `corpus.gather` takes them. settings: values as they are
    written on the command line, by name. Raises UnknownName for a model or setting there is none of, ParameterError for
    a value it cannot have, RequestError for data that cannot be learnt from, and for a run that cannot be resumed,
    FileError for a file that cannot be read.
    """
    module = _module(model, "training")
    chosen = _settings(module, settings)
    items = gather([data], AUDIO_SUFFIXES, out)
    names = [str(item.path) if item.is_whole_file else item.id for item in items]
    if again := [name for name, count in Counter(names).items() if count > 1]:
        raise RequestError(
            f"there are {names.count(again[0])} recordings '{again[0]}': name it once, or give ids to parts"
        )
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RequestError(f"the folder {out} cannot be written to: {error.strerror}: choose another") from None
    graph = load(module.PIPELINE)
    assert graph.audio_input  # of the pipeline of any model
    name, stream = graph.audio_input
    report(f"{module.PIPELINE} of {len(items)} recordings")
    recordings = {name: open_item(item, stream).read() for name, item in zip(names, items, strict=True)}
    try:
        weights: Path = module.train(
            recordings, lambda samples: graph(**{name: samples}), out, chosen, resume, progress, report
        )
    except module.TrainingError as error:
        raise RequestError(str(error)) from None
    return weights


def settings(model: str) -> list[tuple[str, str, str]]:
    """Name, default and meaning of every setting of a model's training."""
    fields = _module(model, "training").Settings.model_fields
    return [
        (name, "" if one.default is None else str(one.default), one.description or "") for name, one in fields.items()
    ]


def distribution(weights: Path, file: Path) -> tuple[Array, Array, float]:
    """Return the distribution a trained model predicts for every sample of a recording, the true levels and the rate.

    Probabilities are [n, size] and levels [n], below size; the rate is in Hz. Raises FileError if `weights` is not a
    file of trained weights.
    """
    module = _module(model_of(weights), "distribution")
    graph = load(module.PIPELINE)
    assert graph.audio_input  # of the pipeline of any model
    name, stream = graph.audio_input
    samples = AudioSource(file, stream).read()
    try:
        found: tuple[Array, Array, float] = module.distribution(weights, samples, lambda x: graph(**{name: x}))
    except ValueError as error:
        raise FileError(str(error)) from error
    return found


def _module(model: str, part: str) -> ModuleType:
    spec = find_spec(f"{PACK}.models")
    folders = [Path(folder) for folder in (spec.submodule_search_locations or [])] if spec else []
    known = {path.parent.name for folder in folders for path in folder.glob(f"[a-z]*/{part}.py")}
    if model not in known:
        raise UnknownName(f"there is no {part} of a model '{model}'; {suggest(model, known)}")
    try:
        return import_module(f"{PACK}.models.{model}.{part}")
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in EXTRA:
            raise
        raise RequestError(f"training needs {error.name}: pip install 'dspgraph[train]'") from None


def _settings(module: ModuleType, given: Mapping[str, str]) -> Any:
    for name in given:
        if name not in module.Settings.model_fields:
            raise UnknownName(f"there is no setting '{name}'; {suggest(name, module.Settings.model_fields)}")
    try:
        return module.Settings.model_validate_strings(dict(given))
    except ValidationError as error:
        raise ParameterError("\n".join(map(complaint_sentence, error.errors()))) from None


def model_of(weights: Path) -> str:
    """The model that weights are of, from the words in their file."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(weights, "np") as file:
            return str(json.loads((file.metadata() or {})["config"])["model"])
    except FileNotFoundError:
        raise FileError(f"{weights} does not exist") from None
    except OSError as error:
        raise FileError(f"{weights} cannot be read: {error.strerror or error}") from None
    except (SafetensorError, KeyError, TypeError, ValueError) as error:
        raise FileError(f"{weights} has no weights of a model in it: {type(error).__name__}: {error}") from None

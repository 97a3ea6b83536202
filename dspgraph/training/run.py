"""Training of a model on recordings, and the distributions that a trained model predicts for a recording."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import cast

from pydantic import BaseModel, ValidationError

from dspgraph.errors import FileError, ParameterError, RequestError, UnknownName, suggest
from dspgraph.io.audio import AUDIO_SUFFIXES, AudioSource, open_item
from dspgraph.parameters import complaint_sentence, sentences
from dspgraph.pipeline.pipeline import load
from dspgraph.rendering.corpus import gather
from dspgraph.rendering.item import Item
from dspgraph.streams import Array, Audio, to_fraction
from dspgraph.training.contract import Features, LabelledTraining, prediction, training
from dspgraph.training.weights import model_of


def train(
    model: str,
    data: Path,
    out: Path,
    settings: Mapping[str, str],
    resume: bool = False,
    progress: bool = False,
    report: Callable[[str], None] = lambda line: None,
    init: Path | None = None,
) -> Path:
    """Train a model on recordings, and return the path of the file with its weights.

    data: a folder, a pattern, a manifest or one audio file, as in `corpus.gather`. out: the folder for weights,
    checkpoints and logs; recordings in it are left out. settings: name -> value as text; other settings have their
    defaults. resume: continue from the checkpoint in `out`. progress: show a progress bar. report: a function that is
    called with each line for the user. init: a file of weights to begin with, only without `resume`; None for random
    weights. Recordings are converted to the rate and the channels of the model's pipeline. A model that learns from
    labels, such as the pitch of a note, gets the labels from the columns of the manifest.

    Raises UnknownName for an unknown model or setting, ParameterError for a value out of bounds, FileError for a file
    that cannot be read, and RequestError if the data cannot be used, if the run cannot be resumed, if `out` has another
    run and `resume` is False, if the weights in `init` do not fit, if a loss is not finite, or if `out` cannot be
    written to.
    """
    module = training(model)
    chosen = _settings(module.Settings, settings)
    labels = getattr(module, "LABELS", ())
    items = _by_name(gather([data], AUDIO_SUFFIXES, out, lambda text: report(f"note: {text}"), labels))
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RequestError(f"the folder {out} cannot be written to: {error.strerror}: choose another") from None
    stream, features = _features(module.PIPELINE, getattr(chosen, "overrides", ()))
    report(f"computing {module.PIPELINE} of {len(items)} recordings")
    recordings = {name: _samples(item, stream) for name, item in items.items()}
    if not labels:
        return module.train(recordings, features, out, chosen, resume, progress, report, init)
    found = {name: item.labels for name, item in items.items()}
    labelled = cast(LabelledTraining, module)
    return labelled.train(recordings, features, out, chosen, resume, progress, report, init, found)


def settings(model: str) -> list[tuple[str, str, str]]:
    """Return (name, default as text, description) of every setting for the training of a model.

    The default is "" if it is None. Raises the errors of `contract.training`. model: the name of the model.
    """
    fields = training(model).Settings.model_fields
    return [
        (name, "" if one.default is None else str(one.default), one.description or "") for name, one in fields.items()
    ]


def distribution(weights: Path, file: Path) -> tuple[Array, Array, float]:
    """Return (the distributions [n, size] that a model predicts, the true levels [n], the sample rate in Hz).

    n is the number of samples of the recording at the rate of the model's pipeline. A level is a whole number from 0 to
    size - 1, see `Prediction.distribution`. A row of the distributions has the probabilities of all levels for one
    sample. weights: the file of the trained weights. file: the recording, which is converted to the rate and the
    channels of the pipeline. Raises FileError if a file cannot be read, if `weights` has no trained weights, or if its
    network reads other features than the pipeline computes; UnknownName for an unknown model, and RequestError for one
    that predicts no distribution.
    """
    module = prediction(model_of(weights))
    stream, features = _features(module.PIPELINE)
    samples = AudioSource(file, stream).read()
    try:
        return module.distribution(weights, samples, features)
    except ValueError as error:
        raise FileError(str(error)) from error


def _samples(item: Item, stream: Audio) -> Array:
    try:
        return open_item(item, stream).read()
    except FileError as error:
        raise FileError(f"{error}{item.missing_hint()}") from None


def _by_name(items: list[Item]) -> dict[str, Item]:
    """Return name of a recording -> item. The name is the path for a whole file, or the id for a part of a file.

    Raises RequestError if two items have the same name.
    """
    names = [str(item.path) if item.is_whole_file else item.id for item in items]
    if again := [name for name, count in Counter(names).items() if count > 1]:
        raise RequestError(
            f"there are {names.count(again[0])} recordings '{again[0]}': list it once, or give ids to its parts"
        )
    return dict(zip(names, items, strict=True))


def _features(pipeline: str, overrides: Sequence[str] = ()) -> tuple[Audio, Features]:
    """Return the audio stream that a pipeline takes, and a function that runs the pipeline on samples of this stream.

    The function returns name of an output -> array. The pipeline must have one input, which is audio. overrides: new
    values for variables of the pipeline, such as "rate=4000".
    """
    graph = load(pipeline, overrides)
    assert graph.audio_input  # the pipeline of every model takes one audio stream
    name, stream = graph.audio_input
    return stream, lambda samples: graph(**{name: samples})


def _settings(kind: type[BaseModel], given: Mapping[str, str]) -> BaseModel:
    for name in given:
        if name not in kind.model_fields:
            raise UnknownName(f"there is no setting '{name}'; {suggest(name, kind.model_fields)}")
        _check_number(name, given[name])
    try:
        return kind.model_validate_strings(dict(given))
    except ValidationError as error:
        raise ParameterError(*sentences(error, complaint_sentence)) from None


def _check_number(name: str, text: str) -> None:
    """Raise ParameterError for texts that Python reads as a number, but `to_fraction` does not.

    These are, for instance, "1_0", digits of other scripts, "nan", "inf" and "1e-100". Texts that are no number, such
    as "adam", are allowed. name: the name of the setting, for the message.
    """
    try:
        float(text)
    except ValueError:
        return
    try:
        to_fraction(text)
    except ParameterError as error:
        raise ParameterError(f"the setting '{name}': {error}") from None

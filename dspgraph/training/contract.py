"""The members that the package of a model must have, so that the model can be trained, plotted and converted.

The package of the model NAME is the folder `dspgraph_nodes/models/NAME/`, or a package that another distribution
announces as the entry point NAME of the group `dspgraph.models`. Its module `training` has the members that `Training`
declares. Its module `distribution` has the members of `Prediction`; a model that predicts no distribution lacks this
module. Its module `weights` has the members of `WeightsModule`. Its module `convert` has the members of
`WeightsConversion`; a model without weights that others have published lacks this module.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any, Protocol, cast

from pydantic import BaseModel

from dspgraph.errors import RequestError, UnknownName, suggest
from dspgraph.registry import models
from dspgraph.streams import Array

Features = Callable[[Array], Mapping[str, Array]]
"""A function from the samples [n] of a recording to the outputs of the pipeline of a model: name -> array."""

Labels = Mapping[str, Mapping[str, str]]
"""The labels of recordings, from columns of a manifest: name of the recording -> name of the column -> text."""

EXTRA = {"tensorboard"}
"""The packages that only `pip install dspgraph[train]` installs."""


class Training(Protocol):
    """The module `training` of a model: it computes weights from recordings."""

    PIPELINE: str
    """The pipeline that computes the features of a recording."""

    Settings: type[BaseModel]
    """The class of the settings of a training run. Every field has a description.

    An instance may have the property `overrides`: new values for variables of the pipeline, such as "rate=4000".
    """

    def train(
        self,
        recordings: Mapping[str, Array],
        features: Features,
        out: Path,
        settings: Any,
        resume: bool,
        progress: bool,
        report: Callable[[str], None],
        init: Path | None,
    ) -> Path:
        """Train on recordings, and return the path of the file with the weights.

        recordings: name -> samples [n], full scale +-1, at the rate of the pipeline. features: a function that computes
        the features of a recording from its samples. out: the folder for weights, checkpoints and logs. settings: an
        instance of `Settings`. resume: continue from the checkpoint in `out`, which must exist. progress: show a
        progress bar. report: a function that is called with each line for the user. init: a file of weights to begin
        with, only without `resume`; None for random weights. Raises RequestError if the recordings cannot be used, if
        the run cannot be resumed, if a new run would replace another one in `out`, if the weights do not fit, if a loss
        is not finite, or if a file cannot be written.
        """


class LabelledTraining(Protocol):
    """The module `training` of a model that learns from samples and labels. It also has the members of `Training`."""

    LABELS: tuple[str, ...]
    """The names of the columns of a manifest that contain labels for the training, such as "pitch"."""

    def train(
        self,
        recordings: Mapping[str, Array],
        features: Features,
        out: Path,
        settings: Any,
        resume: bool,
        progress: bool,
        report: Callable[[str], None],
        init: Path | None,
        labels: Labels,
    ) -> Path:
        """Train as `Training.train` does, on recordings with labels.

        labels: name of a recording -> {column of the manifest: value as text}, for the columns in `LABELS`. A column
        that has no value for a recording is left out of its mapping. Other arguments and errors: as in
        `Training.train`; also raises RequestError if a recording lacks a label that the training needs.
        """


class Prediction(Protocol):
    """The module `distribution` of a model: it computes the distributions that the model predicts for a recording."""

    PIPELINE: str
    """The pipeline that computes the features of a recording."""

    def distribution(self, weights: Path, samples: Array, features: Features) -> tuple[Array, Array, float]:
        """Return (the predicted distributions [n, size], the true levels [n], the sample rate in Hz) for a recording.

        A level is a whole number from 0 to size - 1. It stands for an amplitude, or an interval of amplitudes, in the
        form in which the network predicts samples, such as mu-law. A row of the distributions has the probabilities of
        all levels for one sample. weights: a file of trained weights. samples: [n], a recording, full scale +-1, at the
        rate of the pipeline. features: a function that computes the features of the recording from its samples. Raises
        ValueError if the file has no weights of this model, or if its network reads other features.
        """


class WeightsConversion(Protocol):
    """The module `convert` of a model: it converts weights that others have published.

    A model without published weights lacks this module.
    """

    def recognises(self, names: set[str]) -> bool:
        """Return whether a checkpoint is a published network of this model. names: the names of its arrays."""

    def convert(
        self, found: Mapping[str, Array], given: Mapping[str, Any]
    ) -> tuple[Any, dict[str, Array], Sequence[str]]:
        """Convert a checkpoint; return (configuration, arrays by name, assumed values as texts) for a file of weights.

        found: name -> array, from the checkpoint to convert. given: name -> value, for settings of the network that the
        checkpoint does not contain. A value that is neither in `found` nor in `given` is assumed; its text, such as
        "rate (16000)", is printed after the words "it is assumed: ". Raises ValueError if the arrays are not a network
        of this model, or if they contradict a given value. The arrays that are returned are float32.
        """


class WeightsWriter(Protocol):
    """The object `WEIGHTS` in the module `weights` of a model: it reads and writes files of weights."""

    def read(self, path: Path) -> tuple[Any, dict[str, Array]]:
        """Return (configuration, name -> float32 array) of a file of weights.

        Raises ValueError if the file cannot be read, or has no weights of this model.
        """

    def write(self, path: Path, config: Any, arrays: Mapping[str, Array], numbers: Any = "float32") -> None:
        """Write a configuration and arrays (name -> float32 array) to a file; replace the file if it exists.

        numbers: "float32", "float16" or "int8", to which the arrays are rounded, with "int8" only the matrices. Raises
        ValueError if configuration and arrays do not fit together, if a number is too large for float16, and if the
        model has no files with such numbers; OSError if the file cannot be written.
        """


class WeightsModule(Protocol):
    """The module `weights` of a model, with the members that it must have."""

    WEIGHTS: WeightsWriter
    """The layout of the files of weights of the model."""


def training(model: str) -> Training:
    """Import and return the module `training` of a model. model: the name of the model.

    Raises UnknownName if there is no such model, and RequestError if the module, one of its members, or a package of
    `dspgraph[train]` is missing.
    """
    return cast(Training, _module(model, "training", Training))


def prediction(model: str) -> Prediction:
    """Import and return the module `distribution` of a model. Raises the same errors as `training`."""
    return cast(Prediction, _module(model, "distribution", Prediction))


def conversion(model: str) -> WeightsConversion:
    """Import and return the module `convert` of a model. Raises the same errors as `training`."""
    return cast(WeightsConversion, _module(model, "convert", WeightsConversion))


def weights_format(model: str) -> WeightsWriter:
    """Return the object `WEIGHTS` of a model, which reads and writes files of weights of this model.

    Raises the same errors as `training`.
    """
    return cast(WeightsModule, _module(model, "weights", WeightsModule)).WEIGHTS


def _module(model: str, name: str, contract: type) -> ModuleType:
    known = models()
    if model not in known:
        raise UnknownName(f"no model is called '{model}'; {suggest(model, known)}")
    path = f"{known[model]}.{name}"
    try:
        module = import_module(path)
    except ModuleNotFoundError as error:
        missing_module = error.name or ""
        if f"{path}.".startswith(f"{missing_module}."):
            raise RequestError(f"the model '{model}' has no module {path}") from None
        if missing_module.partition(".")[0] not in EXTRA:
            raise
        raise RequestError(f"training needs {missing_module}: pip install 'dspgraph[train]'") from None
    members = [*contract.__annotations__, *(member for member in vars(contract) if not member.startswith("_"))]
    if missing := [member for member in members if not hasattr(module, member)]:
        raise RequestError(
            f"{path} lacks {', '.join(missing)}; the module '{name}' of a model has {', '.join(members)}: see "
            f"{contract.__module__}.{contract.__name__}"
        )
    return module

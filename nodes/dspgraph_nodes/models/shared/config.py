"""Configurations of models: the sizes of a network, and the rate and hop of its audio."""

from __future__ import annotations

from typing import Any, Self

from pydantic import BaseModel, Field, ValidationError
from pydantic_core import ErrorDetails

from dspgraph.parameters import complaint_sentence, parameter_rule, sentences
from dspgraph.shown import shown
from dspgraph_nodes._kernels.neural.emphasis import Emphasis


class ModelConfig(BaseModel, frozen=True, extra="forbid", strict=True):
    """Base of the configurations of models.

    Raises ValueError, in a plain sentence, for a value that is out of bounds or of another type, and for a field that
    the configuration does not have.
    """

    def __init__(self, **values: Any) -> None:
        try:
            super().__init__(**values)
        except ValidationError as error:
            raise ValueError("; ".join(sentences(error, self._sentence))) from None

    @classmethod
    def _sentence(cls, detail: ErrorDetails) -> str:
        name = str(detail["loc"][0]) if detail["loc"] else ""
        if name not in cls.model_fields or detail["type"] in ("missing", "value_error"):
            return complaint_sentence(detail)
        return f"{name} is {shown(detail['input'])}; it must be {parameter_rule(cls, name)}"

    def replace(self, **changes: Any) -> Self:
        """Return a copy with other values for some fields. Raises ValueError as the class does."""
        return type(self)(**{**self.model_dump(), **changes})


class EmphasisConfig(ModelConfig):
    """Base of the configurations of models whose networks see the samples after a gain and pre-emphasis.

    By default the samples stay as they are.
    """

    gain: float = Field(1.0, gt=0, le=1000, description="factor of the samples that the network sees")
    preemphasis: float = Field(0.0, ge=0, lt=1, description="coefficient of the pre-emphasis of these samples")

    @property
    def emphasis(self) -> Emphasis:
        """The filter that turns samples into those that the network sees."""
        return Emphasis(self.gain, self.preemphasis)


def size(default: int, description: str, multiple: int = 1, largest: int = 4096) -> Any:
    """Return a field of pydantic for a whole number from 1 to `largest` that is a multiple of `multiple`.

    default: the default value; description: the meaning of the field, in words for users.
    """
    bounds: dict[str, Any] = {"multiple_of": multiple} if multiple > 1 else {}
    return Field(default, ge=1, le=largest, description=description, **bounds)


def description(config: type[ModelConfig], name: str) -> str:
    """Return what the field `name` of a configuration means, in words for users. Raises KeyError for no such field."""
    return config.model_fields[name].description or ""

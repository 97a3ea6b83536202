"""Files of weights for nodes. A file is read once for all nodes that use it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache, cached_property, lru_cache, partial
from pathlib import Path
from typing import Any, Generic, TypeVar, cast

from dspgraph import Array, Frames, ParameterError
from dspgraph_nodes.models.shared.weights import Config, WeightsFormat

Packed = TypeVar("Packed")

Key = tuple[str, int, int]
"""Path, size in bytes, and time of the last change of a file in nanoseconds."""


class WeightsFile(Generic[Config, Packed]):
    """The file of weights that a parameter of a node names.

    `config` and `packed` read the file when they are first used, and keep the result: later changes of the file do not
    change the samples of a signal. A node calls `check_unchanged` when a signal starts, because the file must still be
    the one that was there when this object was made.

    weights: the layout of the file; pack: a function from the configuration and the arrays to the form that kernels
    use; place: the parameter, such as "lpcnet.weights"; path: its value. Raises ParameterError if no file is given or
    if there is no such file.
    """

    def __init__(
        self,
        weights: WeightsFormat[Config],
        pack: Callable[[Config, Mapping[str, Array]], Packed],
        place: str,
        path: str | None,
    ) -> None:
        self._weights, self._pack, self._place, self._path = weights, pack, place, path
        self._first_key = self._key()

    def _key(self) -> Key:
        if self._path is None:
            raise ParameterError(
                f"{self._place} is not given, and the node ships without weights: train a network (dspgraph train "
                f"{self._weights.model}) and give the path of its weights"
            )
        try:
            stat = Path(self._path).stat()
        except (OSError, ValueError):
            raise ParameterError(
                f"{self._place} is {self._path}; there is no such file: give the path of trained weights"
            ) from None
        return str(Path(self._path).resolve()), stat.st_size, stat.st_mtime_ns

    @cached_property
    def config(self) -> Config:
        """The configuration of the network. Raises ParameterError if the file holds no weights of the model."""
        try:
            return cast(Config, _config(self._weights, self._first_key))
        except ValueError as error:
            raise ParameterError(f"{self._place}: {error}") from None

    @cached_property
    def packed(self) -> Packed:
        """The packed network, read at the first use.

        Raises ParameterError if the file holds no weights of the model, or has changed since the node was made.
        """
        try:
            found = cast(Packed, _packed(self._weights, self._pack, self._first_key))
        except ValueError as error:
            raise ParameterError(f"{self._place}: {error}") from None
        self.check_unchanged()  # the file may have changed before it was read
        return found

    def check_unchanged(self) -> None:
        """Raise ParameterError if the file has changed since the node was made, or no longer exists.

        Its size and the time of its last change are compared.
        """
        if self._key() != self._first_key:
            raise ParameterError(
                f"{self._place}: {self._path} has changed since the node was made: make a new node, or load the "
                "pipeline again"
            )

    def check_frames(self, frames: Frames, width: int, name: str = "features") -> None:
        """Raise ParameterError unless a stream of frames has the rate and the width that the network was trained with.

        The rate in training is that of the fields `rate` / `hop` of the configuration. width: the width in training; 0:
        any width is right. name: a word for the frames in the message, such as "codes".
        """
        config: Any = self.config
        if frames.rate * config.hop != config.rate:
            raise ParameterError(
                f"{self._place} were trained with {config.rate / config.hop:g} frames a second, a hop of {config.hop} "
                f"at {config.rate} Hz; found {frames}: compute the features at that rate, with that hop"
            )
        if width not in (0, frames.width):
            raise ParameterError(
                f"{self._place} were trained with {name} of {width} numbers; found {frames}: set the bands of the "
                f"{name}"
            )


@cache
def packer(pack: Callable[..., Packed], precision: str) -> Callable[..., Packed]:
    """Return the function that packs a network for a precision: `pack`, or for int8 `pack` with eight_bits=True.

    precision: "float32" or "int8". It is always the same function for the same arguments, because packed networks are
    cached by it.
    """
    return partial(pack, eight_bits=True) if precision == "int8" else pack


@lru_cache(maxsize=64)
def _config(weights: WeightsFormat[Config], key: Key) -> Config:
    return weights.read(key[0])[0]


@lru_cache(maxsize=4)
def _packed(weights: WeightsFormat[Config], pack: Callable[..., Any], key: Key) -> Any:
    return pack(*weights.read(key[0]))

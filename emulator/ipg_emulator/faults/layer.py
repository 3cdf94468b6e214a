"""Layers over a sound part: each can be taken off, whatever was laid over it meanwhile."""

from __future__ import annotations

from typing import Generic, TypeVar, cast

T = TypeVar("T")


class Layer(Generic[T]):
    """Stands in for the part that it lies over, `inner`, which may be a layer itself."""

    def __init__(self, inner: T) -> None:
        self.inner = inner

    def taken_off(self, top: T) -> T:
        """What is left of a stack of layers without this one.

        Raises:
            ValueError: it is none of them.
        """
        below = self.inner
        if top is self:
            return below
        over: object = top
        while isinstance(over, Layer):
            layer = cast("Layer[T]", over)
            if layer.inner is self:
                layer.inner = below
                return top
            over = layer.inner
        raise ValueError("the layer is not there")

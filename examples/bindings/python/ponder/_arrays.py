"""Numbers: numpy arrays where numpy is installed, else memoryviews with the same shape (len, indices, tolist())."""

from __future__ import annotations

import ctypes
import math
from typing import Any, Sequence

try:
    import numpy
except ImportError:
    numpy = None  # type: ignore[assignment]

Array = Any  # numpy.ndarray or memoryview

_types: dict[str, tuple[Any, str]] = {"f": (ctypes.c_float, "float32"), "i": (ctypes.c_int32, "int32")}


def new(kind: str, n: int) -> Any:
    """n numbers of zero as a ctypes array; kind "f" or "i"."""
    return (_types[kind][0] * n)()


def as_array(buffer: Any, kind: str, shape: Sequence[int]) -> Array:
    """buffer, which is not copied, as an array."""
    if numpy is not None:
        return numpy.frombuffer(buffer, dtype=_types[kind][1], count=math.prod(shape)).reshape(shape)
    flat = memoryview(buffer).cast("B")
    return flat.cast(kind, list(shape)) if math.prod(shape) else flat.cast(kind)


def at_address(address: int, kind: str, n: int) -> Array:
    """n numbers of the library's, valid and writable as long as they are there."""
    return as_array((_types[kind][0] * n).from_address(address), kind, [n])


def copied(address: int, kind: str, shape: Sequence[int]) -> Array:
    n = math.prod(shape)
    buffer = new(kind, n)
    if n:
        ctypes.memmove(buffer, address, ctypes.sizeof(buffer))
    return as_array(buffer, kind, shape)

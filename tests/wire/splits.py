"""How bytes can come in: whole, one by one, in two at every place, and at Hypothesis' choice."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

from hypothesis import settings
from hypothesis import strategies as st

PROPERTY = settings(max_examples=150)


def cut(data: bytes, places: list[int]) -> list[bytes]:
    """The pieces between these places, those outside ``data`` left out."""
    at = [0, *sorted({place for place in places if 0 < place < len(data)}), len(data)]
    return [data[start:end] for start, end in pairwise(at)]


def every_split(data: bytes) -> Iterator[list[bytes]]:
    """Whole, byte by byte, and in two at every place."""
    yield [data]
    yield [data[at : at + 1] for at in range(len(data))]
    for place in range(1, len(data)):
        yield [data[:place], data[place:]]


def places(size: int) -> st.SearchStrategy[list[int]]:
    """Places to cut so many bytes at."""
    return st.lists(st.integers(1, max(size, 2)), max_size=8)

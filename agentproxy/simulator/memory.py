"""What the simulated providers remember from request to request, bounded, so that caches and ids look true."""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Mapping

_KEPT = 10000
_REPORTED = 1000
_BLOCK = 128


class Memory:
    """
    Responses by id, and how much of which prompt is in the prompt cache.

    :ivar reported: what the answers of late said that they used, as they said it, by the response's id.
    """

    def __init__(self) -> None:
        self.reported: deque[tuple[str, Mapping[str, object]]] = deque(maxlen=_REPORTED)
        self._responses: OrderedDict[str, int] = OrderedDict()
        self._prompts: OrderedDict[str, int] = OrderedDict()

    def response(self, identity: str) -> int | None:
        """The tokens of the context that ended with this response; ``None``: no such response."""
        return self._responses.get(identity)

    def keep_response(self, identity: str, tokens: int) -> None:
        _keep(self._responses, identity, tokens)

    def cached(self, prompt: str, tokens: int) -> int:
        """
        Ask for and fill the prompt cache.

        :param prompt: what tells one prompt's beginning from another's.
        :param tokens: the whole prompt's.
        :returns: how many of them were there already, in blocks of 128.
        """
        before = min(self._prompts.get(prompt, 0), tokens) // _BLOCK * _BLOCK
        _keep(self._prompts, prompt, tokens)
        return before


def tokens_of(size: int) -> int:
    """A crude count: four bytes a token."""
    return max(1, (size + 3) // 4)


def _keep(table: OrderedDict[str, int], key: str, value: int) -> None:
    table[key] = value
    table.move_to_end(key)
    if len(table) > _KEPT:
        table.popitem(last=False)

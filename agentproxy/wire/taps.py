"""What may listen to a follower of frames, and the guard that keeps it from ever being in the way."""

from __future__ import annotations

from typing import Protocol


class MessageTap(Protocol):
    """Is told of one direction's data messages while they pass; never of control frames."""

    def begin(self, opcode: int, compressed: bool) -> None:
        """A message begins: `TEXT` or `BINARY`, and whether its first frame has RSV1 set (RFC 7692, 6)."""

    def payload(self, data: bytes, start: int, end: int, key: bytes | None, offset: int) -> None:
        """
        More of the message: ``data[start:end]``, never empty; copy of it only what is needed.

        :param key: the frame's masking key, or ``None``.
        :param offset: where in its frame's payload this piece begins: the key's phase.
        """

    def end(self) -> None:
        """The message is whole."""

    def whole(self, first: int, data: bytes, start: int, end: int, key: bytes | None) -> None:
        """
        A message in one frame that is all here, as most are: in place of the other three.

        :param first: the frame's first byte; the rest as in `payload`, but perhaps empty.
        """


class GuardedTap:
    """
    A tap that can't raise: the first exception drops it.

    :ivar degraded: why it was dropped; of an error only its type, as its text may quote the payload.
    """

    __slots__ = ("_key", "_last", "_offset", "_tap", "degraded")

    def __init__(self, tap: MessageTap) -> None:
        self._tap: MessageTap | None = tap
        self._key: bytes | None = None
        self._offset = 0
        self._last = False
        self.degraded: str | None = None

    def frame(self, first: int, data: bytes, start: int, end: int, key: bytes | None) -> None:
        """
        A data frame, as far as it is there.

        :param first: its first byte.
        :param start: where its payload begins; ``end``, where it ends, which may be behind the data.
        """
        tap = self._tap
        if tap is None:
            return
        try:
            size = len(data)
            if first & 0x8F > 0x80 and end <= size:
                tap.whole(first, data, start, end, key)
                return
            if first & 0x0F:
                tap.begin(first & 0x0F, first & 0x40 != 0)
            if end > size:
                self._key = key
                self._offset = size - start
                self._last = first >= 0x80
                if start < size:
                    tap.payload(data, start, size, key, 0)
                return
            if start < end:
                tap.payload(data, start, end, key, 0)
            if first >= 0x80:
                tap.end()
        except Exception as error:
            self._drop(error)

    def whole(self, first: int, data: bytes, start: int, end: int, key: bytes | None) -> None:
        """A message in one frame that is all here: what `frame` makes of it, at less cost."""
        tap = self._tap
        if tap is not None:
            try:
                tap.whole(first, data, start, end, key)
            except Exception as error:
                self._drop(error)

    def more(self, data: bytes, size: int, ends_frame: bool) -> None:
        """The first ``size`` bytes of the data, at least one, go on with the frame."""
        tap = self._tap
        if tap is None:
            return
        try:
            tap.payload(data, 0, size, self._key, self._offset)
            self._offset += size
            if ends_frame and self._last:
                tap.end()
        except Exception as error:
            self._drop(error)

    def _drop(self, error: Exception) -> None:
        self.degraded = f"the tap raised {type(error).__name__}"
        self._tap = None

"""
What relay hands through treq to our agent and back, shaped so that treq finds nothing to parse, copy or decode.

treq's request path stacks agents that rewrite ``Accept-Encoding``, decode bodies and keep cookies; a relay passes
bytes as they are. So the request's and the response's `Headers` here are bags that those agents find empty and
fill in vain, the URL is one object a provider, and the cookie jar keeps nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from http.cookiejar import Cookie, CookieJar
from typing import Any, cast

from hyperlink import EncodedURL
from twisted.web.http_headers import Headers

from agentproxy.wire.head import ResponseHead
from agentproxy.wire.rules import Pair


class Outbound(Headers):
    """
    A request's head.

    :ivar fields: the header fields to send, as they are to be sent, without the framing's.
    :ivar interim: told each 1xx response's head before the final one.
    """

    __slots__ = ("fields", "interim", "method", "target")

    def __init__(
        self, method: bytes, target: bytes, fields: list[Pair], interim: Callable[[ResponseHead], object]
    ) -> None:
        super().__init__()
        self.method = method
        self.target = target
        self.fields = fields
        self.interim = interim

    def lines(self, host: bytes) -> list[bytes]:
        """The head's lines, each with its line end, without the framing's or a handshake's and the empty one."""
        return [
            b"%b %b HTTP/1.1\r\nHost: %b\r\n" % (self.method, self.target, host),
            *[b"%b: %b\r\n" % field for field in self.fields],
        ]

    def copy(self) -> Outbound:
        """Nobody behind us changes it."""
        return self

    def hasHeader(self, name: Any) -> bool:
        """Whatever is asked for is there already: cookies are the client's business."""
        return True

    def addRawHeader(self, name: Any, value: Any) -> None:
        """The client's own ``Accept-Encoding`` is in `fields`."""

    def __repr__(self) -> str:
        # The fields hold the credential.
        return f"<Outbound {self.method!r}>"


class Inbound(Headers):
    """A response's headers as treq sees them: none. The head itself is `Response.head`."""

    __slots__ = ()

    def setRawHeaders(self, name: Any, values: Any) -> None:
        """What the decoding agent writes back after it found no encoding."""

    def removeHeader(self, name: Any) -> None:
        """As `setRawHeaders`."""


class FixedURL(EncodedURL):
    """A URL that is not parsed and encoded again for every request."""

    _text: str

    @classmethod
    def of(cls, text: str) -> FixedURL:
        """
        :param text: the provider's origin; the request's target travels in `Outbound`.
        """
        url = cast(FixedURL, cls.from_text(text))
        url._text = text
        return url

    def to_uri(self) -> FixedURL:
        """It is one."""
        return self

    def to_text(self, with_password: bool = False) -> str:
        """The text it was made of."""
        return self._text


class NoCookies(CookieJar):
    """A jar that stays empty."""

    def __iter__(self) -> Iterator[Cookie]:
        return iter(())

    def add_cookie_header(self, request: Any) -> None:
        """None to add."""

    def extract_cookies(self, response: Any, request: Any) -> None:
        """None to keep."""

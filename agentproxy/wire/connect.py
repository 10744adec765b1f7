"""The client's half of CONNECT (RFC 9110, 9.3.6): the request, and a reader of the egress proxy's answer."""

from __future__ import annotations

from agentproxy.wire.head import BadHead
from agentproxy.wire.parse import parse_response, split_head

MAX_HEAD = 65536
"""Bytes that the answer's head may have."""


class TunnelRefused(Exception):
    """
    The egress proxy answered other than 2xx.

    :ivar status: what it answered.
    """

    def __init__(self, status: int) -> None:
        super().__init__(f"CONNECT was refused: {status}")
        self.status = status


class TunnelGarbled(Exception):
    """The egress proxy's answer is no HTTP response."""


def authority(host: str, port: int) -> str:
    """``host:port``, an IPv6 address in brackets."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def connect_request(host: str, port: int, authorization: str | None) -> bytes:
    """
    The CONNECT request's bytes.

    :param authorization: the value of ``Proxy-Authorization``.
    """
    to = authority(host, port).encode("ascii")
    credential = b"Proxy-Authorization: %b\r\n" % authorization.encode("ascii") if authorization else b""
    return b"CONNECT %b HTTP/1.1\r\nHost: %b\r\n%b\r\n" % (to, to, credential)


class ConnectHandshake:
    """Reads the answer, in whatever pieces it comes."""

    __slots__ = ("_data",)

    def __init__(self) -> None:
        self._data = b""

    def feed(self, data: bytes) -> bytes | None:
        """
        Take the egress proxy's next bytes.

        :returns: ``None`` until the head ends, then the surplus, which may be empty and is the tunnel's first bytes.
        :raises TunnelRefused: the proxy answered other than 2xx.
        :raises TunnelGarbled: no response head, or none within `MAX_HEAD` bytes.
        """
        self._data += data
        try:
            while True:
                split = split_head(self._data, MAX_HEAD)
                if split is None:
                    if not b"HTTP/1."[: len(self._data)] == self._data[:7]:
                        raise BadHead("no HTTP")
                    return None
                head, self._data = split
                # The framing of a 2xx answer to CONNECT is ignored (RFC 9112, 6.3), hence read as HEAD's.
                status = parse_response(_without_framing(head), b"HEAD").status
                if 200 <= status < 300:
                    return self._data
                if status >= 200 or status == 101:
                    raise TunnelRefused(status)
        except BadHead as error:
            raise TunnelGarbled(f"the answer to CONNECT is not a response: {error}") from None


def _without_framing(head: bytes) -> bytes:
    """A 2xx answer's Content-Length and Transfer-Encoding mean nothing, so they may not make it malformed either."""
    lines = head.split(b"\r\n")
    ignored = (b"content-length", b"transfer-encoding")
    kept = [line for line in lines[1:] if line.partition(b":")[0].lower() not in ignored]
    return b"\r\n".join([lines[0], *kept])

"""The server's half of the WebSocket handshake (RFC 6455, 4.2; RFC 7692, 5), and ways to get it wrong."""

from __future__ import annotations

from base64 import b64decode, b64encode
from hashlib import sha1
from typing import TYPE_CHECKING

from agentproxy.simulator import routes
from agentproxy.simulator.answer import Answer, Request, json_answer
from agentproxy.simulator.frames import Deflate
from agentproxy.simulator.websocket import Socket
from agentproxy.wire.head import RequestHead, options

if TYPE_CHECKING:
    from agentproxy.simulator.connection import Connection

_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


def wanted(head: RequestHead) -> bool:
    """Whether a head that has ``Connection: upgrade`` asks for a WebSocket."""
    return b"websocket" in options(head.values(b"upgrade"))


def accept_key(key: bytes) -> bytes:
    """What answers a Sec-WebSocket-Key (RFC 6455, 4.2.2)."""
    return b64encode(sha1(key + _GUID).digest())  # noqa: S324


def open_socket(request: Request, connection: Connection) -> Socket | Answer:
    """Answer an upgrade: with a socket, whose 101 is written by `Socket.start`, or with a refusal."""
    head, script = request.head, request.script
    if head.first(b"sec-websocket-version") != b"13":
        return json_answer(426, {"error": "websocket version"}, (b"sec-websocket-version", b"13"))
    key = head.first(b"sec-websocket-key") or b""
    if head.method != b"GET" or head.length or not _is_key(key):
        return json_answer(400, {"error": "not a websocket handshake"})
    found = routes.socket(request, connection.simulator)
    if isinstance(found, Answer):
        return found
    if script.framing == "plain":
        return json_answer(200, {"hello": "no socket here"})
    app, fields = found
    fields = [*fields, *_protocol(head, script.framing == "protocol")]
    deflate = _deflate(head, script.takeover) if script.deflate else None
    if deflate is not None:
        fields.append((b"Sec-WebSocket-Extensions", deflate[1]))
    elif script.framing == "extension":
        fields.append((b"Sec-WebSocket-Extensions", b"permessage-deflate"))
    accept = accept_key(key if script.framing != "accept" else key[::-1])
    lines = b"".join([b"%b: %b\r\n" % field for field in fields])
    opening = (
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: %b\r\n%b\r\n" % (accept, lines)
    )
    return Socket(connection, app, opening, deflate[0] if deflate else None, _interrupted(request))


def _interrupted(request: Request) -> str:
    """What keeps the 101 from being sent."""
    script = request.script
    return script.fail if script.fail in ("before", "head") else "silent" if script.silence == "head" else ""


def _is_key(key: bytes) -> bool:
    try:
        return len(b64decode(key, validate=True)) == 16
    except ValueError:
        return False


def _protocol(head: RequestHead, unoffered: bool) -> list[tuple[bytes, bytes]]:
    if unoffered:
        return [(b"Sec-WebSocket-Protocol", b"never-offered")]
    offered = [part.strip() for value in head.values(b"sec-websocket-protocol") for part in value.split(b",")]
    # Some carry a key or an account in a subprotocol; such a one is never the one that is spoken.
    spoken = [name for name in offered if not name.startswith(b"openai-")]
    return [(b"Sec-WebSocket-Protocol", spoken[0])] if spoken else []


def _deflate(head: RequestHead, takeover: bool) -> tuple[Deflate, bytes] | None:
    """Accept the first offer of permessage-deflate that asks for nothing that we cannot do (RFC 7692, 5.1)."""
    for offer in ",".join(value.decode("latin-1") for value in head.values(b"sec-websocket-extensions")).split(","):
        name, *parameters = [part.strip().lower() for part in offer.split(";")]
        if name != "permessage-deflate" or any(part.startswith("server_max_window_bits") for part in parameters):
            continue
        client = takeover and "client_no_context_takeover" not in parameters
        server = takeover and "server_no_context_takeover" not in parameters
        answer = "permessage-deflate"
        answer += "" if client else "; client_no_context_takeover"
        answer += "" if server else "; server_no_context_takeover"
        return Deflate(client, server), answer.encode()
    return None

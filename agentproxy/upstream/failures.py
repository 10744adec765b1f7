"""What went wrong on the way up, as errors that name the phase and the hop and say what to do."""

from __future__ import annotations

from OpenSSL import SSL
from service_identity import CertificateError, VerificationError
from twisted.internet import error
from twisted.python.failure import Failure

from agentproxy.errors import ProxyError, UpstreamTimeout, UpstreamUnreachable

_DOING = {
    "connect": "connecting to {hop}",
    "tunnel": "waiting for {hop} to answer CONNECT",
    "tls": "the TLS handshake with {hop}",
    "handshake": "waiting for {hop} to answer the WebSocket handshake",
    "send": "sending the request to {hop}",
    "first_byte": "waiting for {hop} to answer the request",
    "idle": "waiting for more of the answer from {hop}",
}


def timed_out(phase: str, hop: str, seconds: float) -> UpstreamTimeout:
    """Nothing came in time."""
    return UpstreamTimeout(f"No progress within {seconds:g} s while {_DOING[phase].format(hop=hop)}.", phase=phase)


def unreachable(phase: str, hop: str, failure: Failure) -> ProxyError:
    """A connection's failure in a phase; an error that is ours already stays."""
    value = failure.value
    if isinstance(value, ProxyError):
        return value
    return UpstreamUnreachable(f"Failed {_DOING[phase].format(hop=hop)}: {_what(value)}.", phase=phase)


def _what(value: BaseException | None) -> str:
    if isinstance(value, error.DNSLookupError):
        return "the name was not found"
    if isinstance(value, error.ConnectionRefusedError):
        return "the connection was refused"
    if isinstance(value, error.NoRouteError):
        return "there is no route"
    if isinstance(value, (error.TimeoutError, error.TCPTimedOutError)):
        return "the connection timed out"
    if isinstance(value, VerificationError):
        return "the certificate is for another name"
    if isinstance(value, CertificateError):
        return "the certificate has no name that can be checked"
    if isinstance(value, SSL.Error):
        return _tls(value)
    if isinstance(value, error.ConnectError):
        return f"the connection failed ({type(value).__name__})"
    if isinstance(value, (error.ConnectionDone, error.ConnectionLost, error.ConnectionClosed)):
        return "the connection was closed"
    return type(value).__name__


def _tls(value: SSL.Error) -> str:
    """OpenSSL's own words, which name the alert or the check that failed and no data."""
    entries = value.args[0] if value.args and isinstance(value.args[0], (list, tuple)) else ()
    words = [entry[2] for entry in entries if isinstance(entry, tuple) and len(entry) > 2 and entry[2]]
    said = ", ".join(dict.fromkeys(words)) or "the peer broke it off"
    if "certificate verify failed" in said:
        return f"{said} (if the certificate is your company's, name its CA in egress.ca_file)"
    return said

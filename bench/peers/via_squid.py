"""An addon of mitmproxy's, loaded by it: its reverse mode knows no proxy of its own, so each flow is told of one."""

from __future__ import annotations

import os
from typing import Any


def requestheaders(flow: Any) -> None:
    """Reach upstream through the CONNECT proxy on this port; mitmproxy calls this before it connects."""
    flow.server_conn.via = ("http", ("127.0.0.1", int(os.environ["BENCH_SQUID_PORT"])))

"""Pure protocol logic: heads, header rules, body framing, CONNECT, WebSocket frames. No Twisted, no I/O."""

"""How a call leaves: the egress proxy's tunnel, TLS over it, the pool of connections, treq's agent, WebSocket."""

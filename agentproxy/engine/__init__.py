"""What makes the bytes move fast: TCP transports that write at once, and the reactor's lean poll loop."""

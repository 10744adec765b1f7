"""The whole chain: a real twistd, real sockets and TLS, a real Squid, and the real agents where they are installed."""

"""Relays TCP, and understands nothing: `relay.py HOST PORT`. It says its port when it listens."""

from __future__ import annotations

import select
import socket
import sys

_SIZE = 262_144


class End:
    """One socket of a pair: what it reads goes to its other end."""

    other: End

    def __init__(self, sock: socket.socket) -> None:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.setblocking(False)
        self.sock = sock
        self.pending = memoryview(b"")
        self.done = False


def relay(upstream: tuple[str, int]) -> None:
    """Relay each connection to upstream, until the process is ended."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
    print("listening on", listener.getsockname()[1], flush=True)
    poll, ends, room = select.epoll(), dict[int, End](), memoryview(bytearray(_SIZE))
    poll.register(listener, select.EPOLLIN)

    def watch(end: End) -> None:
        reads = 0 if end.done or end.other.pending else select.EPOLLIN
        poll.modify(end.sock, reads | (select.EPOLLOUT if end.pending else 0))

    def move(end: End, events: int) -> None:
        other = end.other
        if events & select.EPOLLOUT and end.pending:
            end.pending = end.pending[end.sock.send(end.pending) :]
        elif not other.pending and not end.done:
            read = end.sock.recv_into(room)
            if not read:
                end.done = True
                other.sock.shutdown(socket.SHUT_WR)
            else:
                try:
                    sent = other.sock.send(room[:read])
                except BlockingIOError:
                    sent = 0
                if sent == read:
                    return
                # What upstream or client does not take yet is kept, and nothing more is read for it.
                other.pending = memoryview(bytes(room[sent:read]))
        elif events & (select.EPOLLERR | select.EPOLLHUP):
            raise ConnectionError
        watch(end)
        watch(other)

    while True:
        for fd, events in poll.poll():
            if fd == listener.fileno():
                near = End(listener.accept()[0])
                far = End(socket.create_connection(upstream))
                near.other, far.other = far, near
                for end in (near, far):
                    ends[end.sock.fileno()] = end
                    poll.register(end.sock, select.EPOLLIN)
            elif found := ends.get(fd):
                try:
                    move(found, events)
                    over = found.done and found.other.done and not found.pending and not found.other.pending
                except BlockingIOError:
                    over = False
                except OSError:
                    over = True
                if over:
                    for end in (found, found.other):
                        del ends[end.sock.fileno()]
                        end.sock.close()


if __name__ == "__main__":
    relay((sys.argv[1], int(sys.argv[2])))

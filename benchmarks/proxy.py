"""A TCP relay that counts bytes and notices the first query; for passes whose time is not measured."""

from __future__ import annotations

import socket
import threading
import time
from types import TracebackType
from typing import Self

from devstack.ports import HOST

_QUERY = (b"Q", b"P")  # PostgreSQL's simple query and the parse of an extended one


class CountingProxy:
    """Relays connections to a port of this machine while `with` holds.

    Attributes:
        moved: bytes so far, both ways.
        first_query: `time.monotonic()` of the first message that holds a query; None = none came.
    """

    def __init__(self, port: int) -> None:
        self._to = port
        self._lock = threading.Lock()
        self._listener = socket.create_server((HOST, 0))
        self.port: int = self._listener.getsockname()[1]
        self.moved = 0
        self.first_query: float | None = None

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        # A thread that waits in accept() is not woken by close() alone.
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            server = socket.create_connection((HOST, self._to))
            for side in (client, server):
                side.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=self._relay, args=(client, server, True), daemon=True).start()
            threading.Thread(target=self._relay, args=(server, client, False), daemon=True).start()

    def _relay(self, source: socket.socket, sink: socket.socket, from_client: bool) -> None:  # noqa: FBT001 - an argument of a thread
        try:
            while data := source.recv(1 << 16):
                with self._lock:
                    self.moved += len(data)
                    if from_client and self.first_query is None and data.startswith(_QUERY):
                        self.first_query = time.monotonic()
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)
        except OSError:
            # One side went without a word; the other must not wait for it.
            source.close()
            sink.close()

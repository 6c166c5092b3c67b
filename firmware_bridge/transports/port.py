"""Bytes in and out of a serial adapter: a device of this machine, a raw TCP port, or one by RFC 2217.

We poll and read file descriptors ourselves: pyserial's `select` fails for good above 1023, and its `socket://` leaks
one at each lost connection. What goes wrong with a port raises one of LOST.
"""

import contextlib
import os
import select
import socket
import termios
from collections.abc import Callable
from typing import Any, Protocol
from urllib.parse import urlsplit

import serial
from serial.rfc2217 import Serial as Rfc2217

from firmware_bridge.transports.pace import Pace

LOST = (OSError, termios.error, ValueError, TypeError, AttributeError)  # pyserial lets through whatever it stumbles on
CHUNK = 4096
CONNECT_S = 5.0
TICK_S, AWAITED_TICKS, IDLE_TICK_S = 0.01, 300, 1.0  # RFC 2217: a thread of pyserial's own has the bytes
SILENT_PEER_S = 10  # of TCP's own questions whether anybody is there


class Port(Protocol):
    def wait(self, seconds: float | None) -> bytes:
        """What has come by then, or as soon as something has; nothing if woken."""
        ...

    def write(self, payload: bytes) -> None:
        """What came before and was not read is thrown away. Never waits."""
        ...

    def close(self) -> None: ...


def opened(where: str, pace: Pace, wake: int) -> Port:
    """`wake` is a descriptor that turns readable when `wait` shall end."""
    if where.startswith("socket://"):
        return _tcp(where, wake)
    if where.startswith("rfc2217://"):
        remote = Rfc2217(where, timeout=0, **_settings(pace))
        return _RemotePort(remote, wake)
    device = serial.Serial(where, timeout=0, exclusive=True, **_settings(pace))
    return _OwnPort(device.fileno(), wake, device.reset_input_buffer, device.close)


def _settings(pace: Pace) -> dict[str, Any]:
    return {"baudrate": pace.baud, "parity": pace.parity, "stopbits": pace.stop_bits}


def _tcp(where: str, wake: int) -> "_OwnPort":
    parts = urlsplit(where)
    link = socket.create_connection((parts.hostname or "", parts.port or 0), timeout=CONNECT_S)
    link.setblocking(False)
    link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    link.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option in (socket.TCP_KEEPIDLE, socket.TCP_KEEPINTVL):
        link.setsockopt(socket.IPPROTO_TCP, option, SILENT_PEER_S)
    return _OwnPort(link.fileno(), wake, lambda: _discard(link), link.close)


def _discard(link: socket.socket) -> None:
    with contextlib.suppress(BlockingIOError):
        while link.recv(CHUNK):
            pass


class _OwnPort:
    """A descriptor that does not block."""

    def __init__(self, fd: int, wake: int, discard: Callable[[], None], close: Callable[[], None]) -> None:
        self._fd, self._wake = fd, wake
        self._discard = discard
        self.close = close
        self._poll = select.poll()
        self._poll.register(fd, select.POLLIN)
        self._poll.register(wake, select.POLLIN)

    def wait(self, seconds: float | None) -> bytes:
        for fd, _ in self._poll.poll(None if seconds is None else max(seconds, 0.0) * 1000):
            if fd == self._fd:
                return self._read()
        return b""

    def _read(self) -> bytes:
        chunk = os.read(self._fd, CHUNK)
        if not chunk:
            raise OSError("the port is gone")
        return chunk

    def write(self, payload: bytes) -> None:
        self._discard()
        if os.write(self._fd, payload) < len(payload):
            raise OSError("the port takes no more")


class _RemotePort:
    """Without a descriptor to poll: we look often while an answer may come, and seldom after that."""

    def __init__(self, remote: Rfc2217, wake: int) -> None:
        self._remote = remote
        self._empty = 0  # looks in a row that found nothing
        self.close = remote.close
        self._poll = select.poll()
        self._poll.register(wake, select.POLLIN)

    def wait(self, seconds: float | None) -> bytes:
        tick_s = TICK_S if self._empty < AWAITED_TICKS else IDLE_TICK_S
        self._poll.poll((tick_s if seconds is None else min(max(seconds, 0.0), tick_s)) * 1000)
        return self._read()

    def _read(self) -> bytes:
        """Each read says, too, whether the connection is still there."""
        chunk = b"".join(self._remote.read(1) for _ in range(max(1, self._remote.in_waiting)))
        self._empty = 0 if chunk else self._empty + 1
        return chunk

    def write(self, payload: bytes) -> None:
        self._read()
        self._empty = 0
        self._remote.write(payload)

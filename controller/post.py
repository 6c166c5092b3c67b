"""One POST to an address that somebody else chose: never into our own house, never elsewhere than was resolved.

The name is resolved once, every address it has is judged, and the connection goes to the judged address; the
certificate must still be the name's. Redirects are answers like any other; nothing is followed.
"""

import contextlib
import http.client
import ipaddress
import socket
import ssl
import threading
from collections.abc import Mapping
from urllib.parse import urlsplit

import msgspec

CONNECT_S = 5.0
WHOLE_S = 10.0  # from the first byte to the answer: a receiver that needs longer should queue
ANSWER_MAX = 4_096
URL_MAX = 500

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


class BadTarget(Exception):
    """Not an address we speak to; `code` says why."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code  # url, scheme, inside, unknown_host


class Target(msgspec.Struct, frozen=True):
    tls: bool
    host: str
    port: int
    path: str

    @property
    def shown(self) -> str:
        """For the Host header."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == (443 if self.tls else 80) else f"{host}:{self.port}"


def target_of(url: str, at_home: bool) -> Target:
    """Raises BadTarget for what is no https address; with `at_home` plain http on loopback is one too."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise BadTarget("url") from error
    plain = len(url) <= URL_MAX and all("!" <= letter <= "~" for letter in url)
    if not plain or not parts.hostname or parts.username is not None or parts.fragment or port == 0:
        raise BadTarget("url")
    if parts.scheme != "https" and not (parts.scheme == "http" and at_home and _is_home(parts.hostname)):
        raise BadTarget("scheme")
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    tls = parts.scheme == "https"
    target = Target(tls, parts.hostname, port or (443 if tls else 80), path)
    literal = _literal(target.host)
    if literal is not None:
        _judge(literal, at_home)
    return target


def post(url: str, body: bytes, headers: Mapping[str, str], *, at_home: bool = False) -> int:
    """The answer's status. Raises BadTarget, or OSError and HTTPException as the network does."""
    target = target_of(url, at_home)
    address = resolved(target, at_home)
    with _connected(address, target) as connection:
        end = threading.Timer(WHOLE_S, _shut, [connection])  # a timeout of each read could be drawn out for ever
        end.daemon = True
        end.start()
        try:
            return _spoken(connection, target, body, headers)
        finally:
            end.cancel()


def _connected(address: str, target: Target) -> socket.socket:
    connection = socket.create_connection((address, target.port), CONNECT_S)
    if not target.tls:
        return connection
    try:
        return ssl.create_default_context().wrap_socket(connection, server_hostname=target.host)
    except BaseException:
        connection.close()
        raise


def _shut(connection: socket.socket) -> None:
    with contextlib.suppress(OSError):  # it may have ended meanwhile
        socket.socket.shutdown(connection, socket.SHUT_RDWR)


def _spoken(connection: socket.socket, target: Target, body: bytes, headers: Mapping[str, str]) -> int:
    http_ = http.client.HTTPConnection(target.host, target.port)
    http_.sock = connection
    with contextlib.closing(http_):
        http_.request("POST", target.path, body, {"Host": target.shown, "Connection": "close", **headers})
        answer = http_.getresponse()
        answer.read(ANSWER_MAX)
        return answer.status


# -- whose address is it ------------------------------------------------------------------------------------------


def resolved(target: Target, at_home: bool) -> str:
    """One address of the name, after all of them were judged: a name that is half inside is inside."""
    try:
        found = socket.getaddrinfo(target.host, target.port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise BadTarget("unknown_host") from error
    addresses = [str(entry[4][0]) for entry in found]
    for address in addresses:
        _judge(ipaddress.ip_address(address.partition("%")[0]), at_home)
    return addresses[0]


def _is_home(host: str) -> bool:
    literal = _literal(host)
    return host == "localhost" if literal is None else literal.is_loopback


def _literal(host: str) -> Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


def _judge(address: Address, at_home: bool) -> None:
    if not (_public(address) or (at_home and address.is_loopback)):
        raise BadTarget("inside")


_NAT64 = ipaddress.ip_network("64:ff9b::/96")


def _public(address: Address) -> bool:
    """Also looks inside the IPv6 addresses that are an IPv4 one in disguise."""
    if isinstance(address, ipaddress.IPv6Address):
        if address in _NAT64:
            return _public(ipaddress.IPv4Address(int(address) & 0xFFFFFFFF))
        if (hidden := address.ipv4_mapped or address.sixtofour) is not None:
            return _public(hidden)
        if address.teredo is not None or address.is_site_local:
            return False
    return address.is_global and not address.is_multicast and not address.is_reserved and not address.is_unspecified

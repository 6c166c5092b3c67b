"""How a client of ours is made: clean session, quick socket, small packets; and the settings it is made from."""

import socket
from typing import Any, Literal

import msgspec
import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

CONNECT_S = 5.0  # a broker that does not take a connection in this time is away
PAYLOAD_MAX = 1 << 20  # a Zigbee bridge lists all its devices in one message, some 8 KiB each; others say under 4 KiB
KERNEL_BYTES = 16 * 1024  # left alone, Linux lets 4 MB of commands wait on a link that has stalled
UNHEARD_MS = 5_000  # an ON expires in 5 s: bytes that the other end has not taken by then end the connection
PACKET_MAX = PAYLOAD_MAX + 64 * 1024 + 64  # with the longest topic there can be and the header


class MqttSettings(msgspec.Struct, frozen=True, kw_only=True):
    host: str
    port: int = 1883
    user: str = ""
    password: str = ""
    client_id: str = "anchong"
    version: Literal["3.1.1", "5"] = "3.1.1"
    tls: bool = False
    ca_file: str = ""
    keepalive_s: int = 10
    will_topic: str = ""
    will_payload: bytes = b""
    site: str = ""


def new_client(settings: MqttSettings, suffix: str, kind: type[paho.Client] = paho.Client) -> paho.Client:
    """A client with a clean session that is not connected yet."""
    five = settings.version == "5"
    client = kind(
        CallbackAPIVersion.VERSION2,
        client_id=settings.client_id + suffix,
        clean_session=None if five else True,
        protocol=paho.MQTTv5 if five else paho.MQTTv311,
    )
    if settings.user:
        client.username_pw_set(settings.user, settings.password)
    if settings.tls:
        client.tls_set(ca_certs=settings.ca_file or None)
    client.connect_timeout = CONNECT_S
    client.on_socket_open = _quick_socket
    client.connect_async(
        settings.host,
        settings.port,
        keepalive=settings.keepalive_s,
        bind_address=settings.host if settings.host.startswith("127.") else "",  # paho binds before it connects
        clean_start=True if five else paho.MQTT_CLEAN_START_FIRST_ONLY,
        properties=_small_packets() if five else None,
    )
    return client


def _small_packets() -> Properties:
    limits = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]  # paho leaves this one untyped
    limits.MaximumPacketSize = PACKET_MAX
    return limits


def _quick_socket(_client: paho.Client, _userdata: Any, sock: Any) -> None:
    """A command must not wait for the answer to the one before it, nor lie in the kernel where nobody can count it."""
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, KERNEL_BYTES)
    if hasattr(socket, "TCP_USER_TIMEOUT"):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, UNHEARD_MS)

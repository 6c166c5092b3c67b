"""JUY's pile boards: both directions, with and without the IMEI, and frames run together."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware_bridge.codecs import juy, juy_data
from firmware_bridge.codecs.juy import Frame
from tests.bridge.frames import fed, flips, refused

BYTES = st.integers(0, 255)
IMEIS = st.just("") | st.text("0123456789", min_size=15, max_size=15)


def frames(most: int) -> st.SearchStrategy[Frame]:
    """What begins with fifteen digits and is no IMEI can't be told from one: no board sends that."""
    data = st.binary(max_size=most).filter(lambda data: not data[:15].isdigit())
    return st.builds(Frame, BYTES, BYTES, data | st.just(b""), IMEIS)


@given(frames(900))
def test_a_frame_that_was_written_is_read_back(frame: Frame) -> None:
    assert juy.read(juy.encode(frame)) == frame


@given(frames(20))
def test_no_frame_survives_a_turned_bit(frame: Frame) -> None:
    for flipped in flips(juy.encode(frame)):
        refused(juy.read, flipped, "checksum", "length", "malformed")


def shown(command: int, data: str, direction: str = "up", topic: str | None = None) -> dict[str, object]:
    return juy_data.decode(topic, direction, juy.encode(Frame(command, data=bytes.fromhex(data))))


START = "02 01 00 00 00 01 00 00 00 00 {mode} E8 03 00 00 64 00 00 00"
STARTED = {"port": 2, "order": 1, "start_mode": 1, "card_number": 0}
PORT_88 = "03 02 50 00 78 00 10 0E 00 00 32 00 30 00 00 00 1E"
PORT_8F = "03 01 78 00 10 0E 00 00 20 03" + " 64 00 0A 00" * 5 + " 1E"


@pytest.mark.parametrize(
    ("mode", "limit"),
    [(1, {"limit": 1000}), (2, {"money_cents": 1000}), (3, {"duration_s": 1000}), (4, {"energy_kwh": 10.0})],
)
def test_what_a_start_allows_depends_on_its_mode(mode: int, limit: dict[str, object]) -> None:
    fields = shown(juy.START, START.format(mode=f"{mode:02X}"), "down")["fields"]

    assert fields == STARTED | {"charge_mode": mode} | limit | {"balance_cents": 100}


def test_ports_that_charge_are_told_one_by_one() -> None:
    fields = shown(0x88, f"02 98 08 1E {PORT_88} {PORT_88}")["fields"]

    port: dict[str, float] = {
        "port": 3,
        "tier": 2,
        "price_cents": 80,
        "power_w": 120,
        "charged_s": 3600,
        "money_cents": 50,
    }
    port |= {"energy_kwh": 0.48, "port_temp_c": 30}
    board = {"charging_ports": 2, "voltage_v": 220.0, "temperature_c": 30}
    assert fields == board | {"charging": [port, port]}


@pytest.mark.parametrize("ports", [f"E8 03 {PORT_8F} {PORT_8F}", f"E8 03 {PORT_8F} E8 03 {PORT_8F}"])
def test_the_price_by_bands_stands_once_or_with_each_port(ports: str) -> None:
    fields = shown(0x8F, f"02 98 08 1E {ports}")["fields"]

    assert isinstance(fields, dict)
    assert [port["band_energy_kwh_and_yuan"] for port in fields["charging"]] == [[0.1, 0.01] * 5] * 2
    assert [*fields, *fields["charging"][0]].count("price_yuan_per_kwh") == 1


def test_a_settlement_says_what_was_charged_and_why_it_ended() -> None:
    body = "01 01 00 00 00 E8 03 00 00 10 00 00 00 0A 00 00 00 00 0E 00 00 00 00 00 02 F4 01 19 00 F4 01 1E 00"
    fields = shown(juy.SETTLEMENT, body + " 00" * 8)["fields"]

    charged = {"port": 1, "order": 1, "duration_s": 1000, "energy_kwh": 0.16, "money_cents": 10}
    ended = {"stop_reason": 0, "power_w": 14, "card_number": 0, "tiers": 2, "tiers_hex": "F4011900F4011E00"}
    assert fields == charged | ended


def test_over_mqtt_the_topic_says_whose_frame_it_is_and_which_way_it_goes() -> None:
    decoded = shown(0x84, "02 01 00 00 00 01", "down", "JUY/D2S/861197062934387/84/DEV")

    assert decoded["imei"] == "861197062934387"
    assert decoded["fields"] == {"port": 2, "order": 1, "stop_result": 1}
    assert "imei" not in shown(0x84, "02 01 00 00 00", "down", "JUY/else")


def test_newer_boards_tell_their_protocol_where_older_ones_tell_their_signal() -> None:
    body = (b"\x0a" + b"HW".ljust(16, b"\0") + b"SW".ljust(16, b"\0") + b"89860390845513443049").hex()

    assert shown(juy.LOGIN, body + "1B00")["fields"]["rssi"] == 27  # type: ignore[index]
    assert shown(juy.LOGIN, body + "6400")["fields"]["protocol_version"] == 100  # type: ignore[index]


@given(
    st.integers(0x81, 0x8F),
    st.binary(max_size=80).filter(lambda data: not data[:15].isdigit()),
    st.sampled_from(["up", "down"]),
)
def test_a_body_that_is_not_as_it_is_written_is_shown_as_its_bytes(command: int, data: bytes, way: str) -> None:
    assert shown(command, data.hex(), way).get("data", "") == data.hex(" ").upper()


@pytest.mark.parametrize(
    ("payload", "kind"),
    [
        ("", "length"),
        ("5A", "length"),
        ("5A A5 04 00", "length"),
        ("5A A5 02 00 82 86", "length"),
        ("5A A5 05 00 82 00 00 87", "length"),
        ("5A A5 04 00 82 00 00 85", "checksum"),
        ("5A A6 04 00 82 00 00 86", "malformed"),
        ("5A A5 04 00 82 00 00 86 00", "length"),
        ("5A A5 FF FF 82 00 00 86", "length"),
    ],
)
def test_what_no_board_sends_is_refused_for_its_own_reason(payload: str, kind: str) -> None:
    refused(juy.read, bytes.fromhex(payload), kind)


def test_what_is_no_frame_is_never_written() -> None:
    with pytest.raises(ValueError, match="IMEI"):
        juy.encode(Frame(juy.LOGIN, imei="12345"))
    with pytest.raises(ValueError, match="too many"):
        juy.encode(Frame(juy.LOGIN, data=bytes(2000)))


@given(st.lists(frames(20), max_size=4), st.lists(st.integers(0, 200), max_size=6), st.integers(0, 9))
def test_frames_are_found_however_they_are_cut_and_between_noise(said: list[Frame], cuts: list[int], n: int) -> None:
    line = b"".join(b"\x00\x5a" * n + juy.encode(frame) for frame in said) + bytes(n)

    assert fed(juy.finder(), line, cuts) == said

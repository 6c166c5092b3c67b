"""anchong/1 on the wire: what is written is read again, what is not of the form is a BadFrame, and an OFF is an OFF."""

import json
import re
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controller.core.errors import BadFrame
from controller.core.reasons import StopReason
from firmware_bridge.codecs import anchong1 as codec
from simulators.twins.anchong1_firmware import REMEMBERED

HEAD = {"boot": "5f2c9a7be1d04433", "seq": 7, "up_s": 12.5}
UP: dict[str, dict[str, Any]] = {
    "hello": {"device": "d", "model": "M", "firmware": "1", "outlets": 2, "lease_max_s": 900, "power_max_w": 2300},
    "online": {"online": True},
    "state": {"outlet": 1, "on": True, "n": 3, "power_w": 168.2, "energy_wh": 1234.5, "lease_left_s": 80.0},
    "ack": {"id": "a1", "ok": False, "why": "boot"},
    "settings": {"outlet": 1, "lease_max_s": 120, "limit_w": 1200}
    | dict.fromkeys(("power_up_off", "sees_power_when_off", "own_counter", "inputs_detached"), True),
    "inputs": {"closed": [True, False]},
    "card": {"uid": "e9f35959"},
}
ON = {"do": "on", "id": "a1", "outlet": 1, "boot": HEAD["boot"], "n": 1, "heard_up_s": 12.5, "lease_s": 120}
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
FIELDS = sorted(
    {name for body in UP.values() for name in body} | HEAD.keys() | ON.keys() | {"device", "faults", "off_by"}
)


def as_bytes(body: object) -> bytes:
    return json.dumps(body).encode()


@pytest.mark.parametrize("kind", codec.KINDS)
def test_each_message_of_a_device_is_read_and_written_again_as_it_was(kind: str) -> None:
    said = codec.read_up(kind, as_bytes(HEAD | UP[kind]))

    assert json.loads(codec.encoded(said)).items() >= (HEAD | UP[kind]).items()
    assert codec.read_up(kind, codec.encoded(said)) == said


@pytest.mark.parametrize("kind", codec.KINDS)
def test_what_a_device_says_beyond_the_specification_is_passed_over(kind: str) -> None:
    more = {"time": "1970-01-01T00:00:00", "rssi": -60, "nested": {"a": [1]}}

    assert codec.read_up(kind, as_bytes(HEAD | UP[kind] | more)) == codec.read_up(kind, as_bytes(HEAD | UP[kind]))


@pytest.mark.parametrize(("kind", "field"), [(kind, field) for kind in codec.KINDS for field in HEAD | UP[kind]])
def test_a_field_that_is_missing_is_refused_by_its_name(kind: str, field: str) -> None:
    if (kind, field) in (("state", "lease_left_s"), ("ack", "why")):
        return  # of an outlet that is off, of a yes
    body = {name: value for name, value in (HEAD | UP[kind]).items() if name != field}

    with pytest.raises(BadFrame, match=field):
        codec.read_up(kind, as_bytes(body))


@pytest.mark.parametrize(
    ("kind", "field", "value"),
    [
        ("state", "power_w", float("nan")),
        ("state", "power_w", float("inf")),
        ("state", "power_w", -1),
        ("state", "power_w", 20_001),
        ("state", "energy_wh", -0.1),
        ("state", "energy_wh", "12"),
        ("state", "outlet", 0),
        ("state", "outlet", 1.5),
        ("state", "on", 1),
        ("state", "lease_left_s", 901),
        ("state", "faults", ["x"] * 17),
        ("state", "faults", ["DROP TABLE"]),
        ("state", "voltage_v", 1_001),
        ("state", "seq", 0),
        ("state", "seq", 2**53),
        ("state", "boot", "short"),
        ("state", "boot", "x" * 33),
        ("state", "boot", "bad\nboot-id"),
        ("hello", "outlets", 33),
        ("hello", "lease_max_s", 901),
        ("card", "uid", "E9F3595"),
        ("card", "uid", "E9F35959\n"),
        ("inputs", "closed", [True] * 33),
        ("inputs", "closed", [1]),
    ],
)
def test_a_value_that_no_device_can_mean_is_refused(kind: str, field: str, value: object) -> None:
    with pytest.raises(BadFrame):
        codec.read_up(kind, as_bytes(HEAD | UP[kind] | {field: value}))


@pytest.mark.parametrize(
    "payload", [b"", b"{", b"[]", b"null", b"\xff", b'{"boot":"12345678","boot":"12345679"}', b"[" * 900]
)
@pytest.mark.parametrize("kind", codec.KINDS)
def test_what_is_no_message_is_refused(kind: str, payload: bytes) -> None:
    with pytest.raises(BadFrame):
        codec.read_up(kind, payload)


def test_one_thing_said_twice_is_refused() -> None:
    twice = as_bytes(HEAD | UP["state"])[:-1] + b', "on": false}'

    with pytest.raises(BadFrame, match="said twice"):
        codec.read_up("state", twice)


def test_sizes_are_bounded_both_ways() -> None:
    long_up, long_down = HEAD | UP["state"] | {"x": "y" * 900}, ON | {"x": "y" * 400}

    with pytest.raises(BadFrame, match="bytes, of at most 1024"):
        codec.read_up("state", as_bytes(long_up))
    with pytest.raises(BadFrame, match="bytes, of at most 512"):
        codec.read_down(as_bytes(long_down))


def test_a_will_needs_no_number_and_a_sign_of_life_does() -> None:
    assert codec.read_up("online", as_bytes({"boot": HEAD["boot"], "online": False})) == codec.Will(
        boot=str(HEAD["boot"]), online=False
    )
    will = codec.Will(boot=str(HEAD["boot"]), online=False)
    assert codec.read_up("online", codec.encoded(will)) == will
    with pytest.raises(BadFrame, match="seq"):
        codec.read_up("online", as_bytes({"boot": HEAD["boot"], "online": True}))


@pytest.mark.parametrize("field", [name for name in ON if name != "do"])
def test_an_on_that_misses_a_field_is_none(field: str) -> None:
    with pytest.raises(BadFrame, match=field):
        codec.read_down(as_bytes({name: value for name, value in ON.items() if name != field}))


@pytest.mark.parametrize(
    ("payload", "why"),
    [
        (ON | {"lease_s": None}, ("a1", "no_lease")),
        ({name: value for name, value in ON.items() if name != "lease_s"}, ("a1", "no_lease")),
        (ON | {"lease_s": 0}, ("a1", "malformed")),
        (ON | {"do": "explode"}, ("a1", "unknown")),
        (ON | {"id": "\n"}, None),
        ([], None),
    ],
)
def test_what_is_refused_is_answered_as_far_as_it_can_be(payload: object, why: tuple[str, str] | None) -> None:
    with pytest.raises(BadFrame):
        codec.read_down(as_bytes(payload))
    assert codec.refused_id(as_bytes(payload)) == why


@settings(max_examples=60)
@given(st.dictionaries(st.sampled_from(["id", "outlet", "boot", "n", "lease_s", "x"]), JSON, max_size=5))
def test_an_off_is_an_off_whatever_else_it_says(more: dict[str, object]) -> None:
    payload = json.dumps({**more, "do": "off"}, allow_nan=False, default=str).encode() if _finite(more) else b""
    if not 0 < len(payload) <= codec.DOWN_BYTES_MAX:
        return

    command = codec.read_down(payload)

    assert isinstance(command, codec.Off)
    assert command.named is None or 1 <= command.named <= codec.OUTLETS_MAX
    assert 0 <= command.number < 2**53


def _finite(value: object) -> bool:
    try:
        json.dumps(value, allow_nan=False).encode()
    except (ValueError, UnicodeEncodeError):
        return False
    return True


@settings(max_examples=60)
@given(kind=st.sampled_from(codec.KINDS), payload=st.binary(max_size=60) | JSON.map(as_bytes))
def test_anything_at_all_is_a_bad_frame_and_nothing_else(kind: str, payload: bytes) -> None:
    for read in (lambda: codec.read_up(kind, payload), lambda: codec.read_down(payload)):
        with suppress(BadFrame):
            read()
    codec.refused_id(payload)


@settings(max_examples=60)
@given(kind=st.sampled_from(codec.KINDS), odd=st.dictionaries(st.sampled_from(FIELDS), JSON, max_size=3))
def test_a_message_with_odd_fields_is_read_or_a_bad_frame(kind: str, odd: dict[str, object]) -> None:
    for body in (HEAD | UP[kind] | odd, ON | odd):
        with suppress(BadFrame):
            said = codec.read_up(kind, as_bytes(body))
            assert json.loads(codec.encoded(said)) is not None
        with suppress(BadFrame):
            codec.read_down(as_bytes(body))


@pytest.mark.parametrize(
    "topic",
    [
        *("anchong/1/+/up/hello", "anchong/1/#/up/hello", "anchong/1/a/b/up/hello", "anchong/1//up/hello"),
        *("anchong/1/d/up", "anchong/1/d/up/other", "anchong/1/d/down/x", "anchong/2/d/down", "anchong/1/d\n/down"),
        *("anchong/1/" + "x" * 65 + "/down", "tele/d/STATE", "", "anchong/1/$SYS/down", "anchong/1/小区/down"),
    ],
)
def test_no_topic_reaches_beyond_its_device(topic: str) -> None:
    with pytest.raises(BadFrame):
        codec.device_of(topic)


def test_topics_are_told_apart_by_their_device() -> None:
    assert codec.device_of(codec.up("shed-1.socket_7", "state")) == "shed-1.socket_7"
    assert codec.device_of(codec.down("a")) == "a"


def test_every_word_for_what_is_wrong_is_a_reason_of_ours() -> None:
    assert set(StopReason) > codec.FAULTS


def test_what_the_specification_shows_is_read(page: str) -> None:
    shown = re.findall(r"```json\n(.*?)```", page, re.DOTALL)

    said = [
        codec.read_down(one) if b'"do"' in one else codec.read_up(_kind(one), one) for one in map(str.encode, shown)
    ]

    assert [type(one) for one in said] == [codec.Hello, codec.State, codec.On]


def _kind(payload: bytes) -> str:
    return codec.HELLO if b'"model"' in payload else codec.STATE


def test_the_specification_has_our_bounds_and_words(page: str) -> None:
    assert f"**{codec.UP_BYTES_MAX} bytes** up, **{codec.DOWN_BYTES_MAX} bytes** down" in page
    assert f"last **{REMEMBERED}** commands" in page
    assert f"older than **{codec.FRESH_S:.0f} s**" in page
    assert all(f"`{word}`" in page for word in codec.FAULTS)
    assert all(f"anchong/1/<name>/up/{kind}`" in page for kind in codec.KINDS)


@pytest.fixture
def page() -> str:
    return (Path(__file__).parents[2] / "docs" / "anchong-1.md").read_text(encoding="utf-8")


def test_people_can_read_what_is_said() -> None:
    state = as_bytes(HEAD | UP["state"])

    assert codec.decode("anchong/1/d/up/state", "up", state)["power_w"] == 168.2
    assert codec.decode("anchong/1/d/down", "up", as_bytes(ON))["do"] == "on"
    assert codec.decode(None, "down", as_bytes(ON))["lease_s"] == 120
    with pytest.raises(BadFrame):
        codec.decode(None, "up", state)

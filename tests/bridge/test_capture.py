"""Recording what links carry: nobody waits for it, it ends somewhere, and it reads as `anchong decode` does."""

import json
import os
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import serial
import typer
from typer.testing import CliRunner, Result

from anchong.capture import capture
from anchong.decode import _answer_line
from anchong.listening import Ear, Frame, listening, on_line
from anchong.run import gateway_of
from anchong.settings import BadSettings, Settings, read
from anchong.sniff import shown, sniff
from anchong.taping import Taping
from controller.store import Store
from firmware_bridge.capture import Recorder, Tape, about, line
from firmware_bridge.codecs import modbus, pn532, pzem
from firmware_bridge.drivers import DRIVERS
from firmware_bridge.spoken import Known
from firmware_bridge.transports.memory import MemoryBroker, MemoryTransport
from firmware_bridge.veil import Veil
from firmware_bridge.wire import Message, Pile
from tests.bridge.captures import FOLDER, piles_of
from tests.house import Broker, eventually, needs

VEIL = Veil(b"of this test")
TASMOTA = piles_of(FOLDER / "tasmota-twin.jsonl")[0]
BOARD = piles_of(FOLDER / "waveshare-relay-twin.jsonl")[0]
SENSOR = "tele/tasmota_49A3BC/SENSOR"
COMMAND = "cmnd/tasmota_49A3BC/Backlog0"
APP = typer.Typer()
APP.command()(capture)
APP.command()(sniff)


def lines_of(path: Path) -> list[dict[str, Any]]:
    return [json.loads(said) for said in path.read_text(encoding="utf-8").splitlines()]


def run(*arguments: str) -> Result:
    return CliRunner().invoke(APP, arguments)


# -- who speaks how -----------------------------------------------------------------------------------------------


def test_of_a_pile_it_is_known_what_it_says_what_it_is_told_and_how() -> None:
    known = Known(
        DRIVERS, [TASMOTA, BOARD, Pile("x", "gone", "x", ("o",), {}), Pile("y", "tasmota", "y", ("o",), {"topic": 5})]
    )

    assert (known.direction(SENSOR), known.direction(COMMAND)) == ("up", "down")
    assert known.direction("cmnd/tasmota_49A3BC/TelePeriod") == "down"  # somebody else's command
    assert known.protocol(SENSOR) == known.protocol(COMMAND) == "tasmota-mqtt"
    assert known.protocol("shed-1/modbus:1") == "modbus-relay-waveshare"
    assert known.protocol("shed-1/modbus:11") == "modbus-pzem-004t-v3"
    assert known.piles == [TASMOTA, BOARD]  # of a family that is gone, or with what fits none, nothing is known


@pytest.mark.parametrize(
    ("address", "protocol"),
    [
        ("tasmota/discovery/00000049A3BC/config", "tasmota-mqtt"),
        ("shellyplugsg3-54320464a1d0/online", "shelly-rpc-mqtt"),
        ("plug/status/switch:0", "shelly-rpc-mqtt"),
        ("zigbee2mqtt/bridge/state", "zigbee2mqtt"),
        ("anchong/1/00000049A3BD/up/hello", "anchong-1"),
        ("shed-1/modbus:7", "modbus-rtu"),
        ("shed-1/dlt645:000000000161", "dlt645-2007"),
        ("tele/plug/SENSOR", "tasmota-mqtt"),
        ("plug/stat/POWER", "tasmota-mqtt"),
        ("z2m/shed/plug/set", "zigbee2mqtt"),
        ("z2m/plug", "zigbee2mqtt"),
        ("socket/sensor/power/state", "esphome"),
        ("socket/outlet/1/lease", "esphome"),
        ("a/b/c/d", "tasmota-mqtt"),
    ],
)
def test_a_stranger_is_known_by_its_looks(address: str, protocol: str) -> None:
    assert Known(DRIVERS).protocol(address) == protocol


# -- lines --------------------------------------------------------------------------------------------------------


def test_a_line_reads_as_decode_does() -> None:
    message = Message(SENSOR, b'{"ENERGY":{"Power":34}}', retained=True)

    said = line(1.23456, "tasmota-mqtt", "up", message, VEIL)

    assert said["t_s"] == 1.235
    assert said["retained"] is True
    assert _answer_line(json.dumps(said).encode()) == {"ok": True, "decoded": {"power_w": 34}}


def test_what_can_not_be_covered_is_left_out_and_said_so() -> None:
    said = line(0.0, "pn532-hsu", "up", Message("", b"\x00\x00\xff\x0c\xf4 no frame"), VEIL)

    assert (said["hex"], said["left_out"]) == ("", 14)
    assert line(0.0, "pn532-hsu", "up", Message("", b"\x00\x00\xff"), None)["hex"] == "00 00 FF"


# -- to disk ------------------------------------------------------------------------------------------------------


def numbered(number: int) -> Callable[[], dict[str, Any]]:
    return lambda: {"n": number}


def first() -> dict[str, Any]:
    return about([TASMOTA], VEIL, "a plug")


def test_a_tape_begins_with_whose_it_is_and_is_for_its_owner(tmp_path: Path) -> None:
    tape = Tape(tmp_path / "tape", first)
    tape.put(lambda: {"n": 1})
    tape.close()

    told, said = lines_of(tmp_path / "tape")
    assert told["about"]["device"] == "a plug"
    assert said == {"n": 1}
    assert (tmp_path / "tape").stat().st_mode & 0o077 == 0


def test_a_tape_never_grows_beyond_its_size_and_keeps_the_one_before(tmp_path: Path) -> None:
    tape = Tape(tmp_path / "tape", dict, bytes_max=1000)
    for number in range(200):
        tape.put(numbered(number))
    tape.close()

    kept = [*lines_of(tmp_path / "tape.1"), *lines_of(tmp_path / "tape")]
    assert [said["n"] for said in kept if said][-1] == 199
    assert all(file.stat().st_size < 1100 for file in tmp_path.iterdir())


def test_who_tells_a_tape_never_waits_and_what_it_can_not_take_is_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("firmware_bridge.capture.WAITING_MAX", 3)
    disk = threading.Event()
    tape = Tape(tmp_path / "tape", dict)
    tape.put(lambda: {"waited": disk.wait(5.0)})
    for number in range(10):
        tape.put(numbered(number))

    assert tape.lost >= 6
    disk.set()
    tape.close()
    assert len(lines_of(tmp_path / "tape")) == 12 - tape.lost


def test_a_line_that_can_not_be_made_and_a_disk_that_fails_are_no_harm(tmp_path: Path) -> None:
    tape = Tape(tmp_path / "tape", dict)
    tape.put(lambda: {"n": 1 // 0})
    tape.put(lambda: {"n": 1})
    tape.close()
    assert lines_of(tmp_path / "tape")[-1] == {"n": 1}

    full = Tape(tmp_path / "full", dict)
    full._file.close()
    full._file = open("/dev/full", "wb")  # noqa: PTH123, SIM115 - a disk without room
    full.put(lambda: {"n": 1})
    full._thread.join(5.0)
    full.put(lambda: {"n": 2})
    full.close()


# -- a link that is overheard -------------------------------------------------------------------------------------


def recorded(tmp_path: Path, said: Callable[[Recorder, MemoryBroker], None]) -> list[dict[str, Any]]:
    broker = MemoryBroker()
    known = Known(DRIVERS, [TASMOTA, BOARD])
    tape = Tape(tmp_path / "tape", lambda: about(known.piles, VEIL))
    link = Recorder(MemoryTransport(broker, "gateway"), tape, known, lambda: broker.now_s, VEIL)
    said(link, broker)
    broker.pump(1.0)
    tape.close()
    return lines_of(tmp_path / "tape")[1:]


def test_both_ways_are_recorded_and_carried_all_the_same(tmp_path: Path) -> None:
    came: list[Message] = []

    def said(link: Recorder, broker: MemoryBroker) -> None:
        link.start(came.append, lambda up: None)
        link.listen(SENSOR)
        assert link.send(Message(COMMAND, b"PulseTime1 220;Power1 ON"), urgent=False)
        broker.connect("plug", came.append)
        broker.publish("plug", Message(SENSOR, b'{"ENERGY":{"Power":34}}'))

    down, up = recorded(tmp_path, said)

    assert (down["direction"], down["topic"], down["payload"]) == ("down", COMMAND, "PulseTime1 220;Power1 ON")
    assert (up["direction"], up["topic"], up["t_s"]) == ("up", SENSOR, 1.0)
    assert [message.address for message in came] == [SENSOR]


def test_what_did_not_leave_is_not_recorded(tmp_path: Path) -> None:
    def said(link: Recorder, broker: MemoryBroker) -> None:
        assert not link.send(Message(COMMAND, b"Power1 ON"))

    assert recorded(tmp_path, said) == []


def test_of_a_bus_the_question_is_told_with_its_answer_or_its_fault(tmp_path: Path) -> None:
    ask = modbus.encode(pzem.ask_values(11))
    answer = bytes.fromhex("0B 04 14") + bytes(20)
    answer += modbus.crc16(answer)

    def said(link: Recorder, broker: MemoryBroker) -> None:
        link._heard(Message("shed-1/modbus:11", answer, asked=ask))
        link._heard(Message("shed-1/modbus:11", b"", asked=ask, fault="silent"))
        link.send(Message("shed-1/modbus:11", ask))

    asked, answered, silent = recorded(tmp_path, said)

    assert (asked["direction"], asked["hex"]) == ("down", ask.hex(" ").upper())
    assert (answered["direction"], answered["hex"]) == ("up", answer.hex(" ").upper())
    assert (silent["direction"], silent["fault"]) == ("down", "silent")
    assert {said["protocol"] for said in (asked, answered, silent)} == {"modbus-pzem-004t-v3"}


# -- a serial line ------------------------------------------------------------------------------------------------


@pytest.fixture
def line_ends() -> Any:
    ours, theirs = os.openpty()
    yield ours, os.ttyname(theirs)
    os.close(ours)
    os.close(theirs)


def test_a_serial_line_is_heard_without_a_word_of_ours(line_ends: tuple[int, str]) -> None:
    ours, name = line_ends
    ask = modbus.encode(pzem.ask_values(11))

    with listening(on_line(name, 9600, "N", ["modbus-pzem-004t-v3"])) as ear:
        os.write(ours, ask)
        heard = next(ear.frames(5.0))

    assert (heard.protocol, heard.direction, heard.message.payload) == ("modbus-pzem-004t-v3", "down", ask)
    os.set_blocking(ours, False)
    with pytest.raises(BlockingIOError):
        os.read(ours, 100)


class Adapter:
    """Says what it has, and is pulled out."""

    in_waiting = 0

    def __init__(self, *chunks: bytes) -> None:
        self._chunks = list(chunks)

    def read(self, size: int) -> bytes:
        if not self._chunks:
            raise serial.SerialException("gone")
        return self._chunks.pop(0)

    def close(self) -> None:
        pass


def test_who_hears_never_waits_for_who_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("anchong.listening.WAITING_MAX", 3)
    ear = Ear()
    for number in range(5):
        ear.put(Frame(float(number), "raw", "up", Message("", b"")))

    assert ear.lost == 2
    assert [frame.t_s for frame in ear.frames(0.01)] == [0.0, 1.0, 2.0]


def test_sniffing_a_line_shows_what_is_said_and_what_is_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    ask = modbus.encode(pzem.ask_values(11))
    adapter = Adapter(ask[:3], ask[3:], b"", b"\x0b\x04\x14\xff")
    monkeypatch.setattr(serial, "serial_for_url", lambda *_, **__: adapter)

    result = run("sniff", "--port", "/dev/some", "--protocol", "modbus-pzem-004t-v3")

    good, bad = result.stdout.splitlines()
    assert "→ - modbus-pzem-004t-v3  address 0, count 10" in good
    assert "BAD length" in bad
    assert "0B 04 14 FF" in bad


@pytest.mark.parametrize(
    ("protocol", "topic", "payload", "said"),
    [
        ("tasmota-mqtt", "tele/\x1b[2Jx/LWT", b"Online", "    1.500 ← tele/·[2Jx/LWT tasmota-mqtt  available yes"),
        ("dny-ap3000", "", b"link", "    1.500 ← - dny-ap3000  link yes"),
        ("raw", "", b"\x01\x02", "    1.500 ← - raw  01 02"),
    ],
)
def test_a_frame_is_one_line_for_people(protocol: str, topic: str, payload: bytes, said: str) -> None:
    assert shown(Frame(1.5, protocol, "up", Message(topic, payload))) == said


def test_a_capture_of_a_line_is_whole_when_the_adapter_is_gone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    asks = [modbus.encode(pzem.ask_values(unit)) for unit in range(1, 100)]
    monkeypatch.setattr(serial, "serial_for_url", lambda *_, **__: Adapter(*asks))
    out = tmp_path / "out.jsonl"

    result = run("capture", "--out", str(out), "--port", "/dev/some", "--protocol", "modbus-pzem-004t-v3")

    assert result.exit_code == 0
    assert [bytes.fromhex(said["hex"]) for said in lines_of(out)[1:]] == asks


def test_a_raw_capture_says_that_it_is_one(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(serial, "serial_for_url", lambda *_, **__: Adapter(b"\x01\x02"))

    result = run("capture", "--out", str(tmp_path / "out"), "--port", "/dev/some", "--raw")

    assert "give it to nobody" in result.stderr
    told, said = lines_of(tmp_path / "out")
    assert told["about"]["redacted"] is False
    assert (said["protocol"], said["hex"]) == ("raw", "01 02")


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (("--port", "/nowhere"), "can't be opened"),
        (("--port", "/nowhere", "--parity", "X"), "must be N, E or O"),
        (("--port", "/nowhere", "--protocol", "tasmota-mqtt"), "is not spoken on a serial line"),
        (("-c", "/nowhere"), "can't be read"),
    ],
)
def test_what_can_not_be_listened_to_is_one_line_and_exit_2(
    arguments: tuple[str, ...], why: str, tmp_path: Path
) -> None:
    for command in (["sniff"], ["capture", "--out", str(tmp_path / "out")]):
        result = run(*command, *arguments)

        assert result.exit_code == 2
        assert len(result.stderr.splitlines()) == 1
        assert why in result.stderr
    assert not (tmp_path / "out").exists()


def test_a_line_that_is_refused_is_named_at_once() -> None:
    with pytest.raises(BadSettings, match="modbus-rtu"):
        on_line("/nowhere", 9600, "N", ["ykc"])


# -- the broker ---------------------------------------------------------------------------------------------------


@pytest.fixture
def config(tmp_path: Path, mosquitto: Callable[..., Broker]) -> Path:
    broker = mosquitto()
    database = f"sqlite:///{tmp_path / 'some.sqlite3'}"
    store = Store(database, "gw")
    store.create()
    store.close()
    config = tmp_path / "anchong.toml"
    where = f'database = "{database}"\njournal = "{tmp_path}/trips"\n'
    config.write_text(f'{where}[broker]\nhost = "127.0.0.1"\nport = {broker.port}\n', encoding="utf-8")
    told = lines_of(FOLDER / "tasmota-twin.jsonl")[1]
    say = [needs("mosquitto_pub"), "-h", broker.host, "-p", str(broker.port), "-r", "-t", told["topic"]]
    subprocess.run([*say, "-m", told["payload"]], check=True, timeout=10)
    return config


def test_a_new_device_is_captured_from_a_real_broker_and_decodes(config: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.jsonl"

    result = run("capture", "-c", str(config), "--out", str(out), "--for-s", "0.5", "--device", "Athom, Tasmota 13.3")

    assert (result.exit_code, result.stdout) == (0, "")
    assert "1 frames in" in result.stderr
    told, said = lines_of(out)
    assert told["about"] == {"capture": 1, "device": "Athom, Tasmota 13.3", "redacted": True, "piles": []}
    answer = _answer_line(json.dumps(said).encode())
    assert answer["decoded"]["mac"] == "00000049A3BC"
    assert said["retained"] is True


def test_sniffing_a_broker_shows_what_devices_say(config: Path) -> None:
    result = run("sniff", "-c", str(config), "--for-s", "0.3")

    assert "← tasmota/discovery/00000049A3BC/config tasmota-mqtt  mac 00000049A3BC" in result.stdout


def test_a_gateway_that_runs_is_taped_on_all_its_links(config: Path, tmp_path: Path) -> None:
    settings = read(config)
    taping = Taping(settings, tmp_path / "tape")

    gateway = gateway_of(settings, taping=taping)
    gateway.start()
    try:
        eventually(lambda: gateway.engine.house.found)
    finally:
        gateway.stop()
        taping.stop()

    said = lines_of(tmp_path / "tape")[1]
    assert _answer_line(json.dumps(said).encode())["decoded"]["mac"] == "00000049A3BC"
    with pytest.raises(BadSettings, match="can't be written"):
        Taping(settings, tmp_path)


class Quiet:
    """A reader that answers what it is told with a card."""

    def __init__(self) -> None:
        self.said: list[bytes] = []

    def read(self, wait_s: float) -> bytes:
        return self.said.pop(0) if self.said else b""

    def write(self, data: bytes) -> None:
        card = pn532.answer_cards([pn532.Card(b"\x00\x04", 8, b"\xcb\x98\xa6\x05")])
        self.said += [pn532.encode(pn532.Handshake.ACK), pn532.encode(card)]

    def close(self) -> None:
        pass


def test_a_readers_port_is_taped_both_ways_without_the_cards_number(tmp_path: Path) -> None:
    taping = Taping(Settings(database=f"sqlite:///{tmp_path / 'none.sqlite3'}"), tmp_path / "tape")
    port = taping.over_reader("gate", "pn532", Quiet)()

    port.write(pn532.encode(pn532.list_cards()))
    read = [port.read(0.0) for _ in range(3)]
    port.close()
    taping.stop()

    said = lines_of(tmp_path / "tape")[1:]
    assert read[2] == b""
    assert [one["direction"] for one in said] == ["down", "up", "up"]
    assert {one["reader"] for one in said} == {"gate"}
    assert "CB 98 A6 05" not in said[2]["hex"]
    assert _answer_line(json.dumps(said[2]).encode())["decoded"]["targets"] == 1
    assert taping.over_reader("door", "hid", Quiet) is Quiet

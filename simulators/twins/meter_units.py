"""Meters on a line as their firmware behaves: each sees the circuit that it is wired to, whoever switches that."""

import math
from collections.abc import Callable

from controller.core.errors import BadFrame
from firmware_bridge.codecs import dlt645, dlt645_data, eastron, modbus, pzem
from firmware_bridge.codecs.modbus import Frame
from simulators.twins.contact import FACTOR, MAINS_V, Fault
from simulators.twins.line import ANSWERS_AFTER_S, Circuit, WireFault

NO_FUNCTION, NO_ADDRESS = 1, 2


class Meter:
    """What all meters have: a counter of their own that goes on when they are wired elsewhere."""

    def __init__(self, address: str, circuit: Circuit, speaks: "Speaks") -> None:
        self.address = address
        self.voltage_v = MAINS_V
        self.frequency_hz = 50.0
        self.turned = False  # its clamp: what is drawn shows in reverse
        self.registers: dict[int, int] = {}
        self.at_s = 0.0
        self.answers_after_s = ANSWERS_AFTER_S
        self.faults: set[Fault | WireFault] = set()
        self._speaks = speaks
        self._circuit = circuit
        self._before_wh = -circuit.total_wh
        self._stuck: tuple[float, float] | None = None

    @property
    def number(self) -> int:
        return int(self.address.removeprefix("modbus:"))

    def hear(self, request: bytes) -> bytes:
        return self._speaks(self, request)

    def boot(self) -> bytes:
        return b""

    # -- what it measures -----------------------------------------------------------------------------------------

    def wire(self, circuit: Circuit) -> None:
        """Somebody moves its clamp, or crosses two."""
        self._before_wh = self.counted_wh - circuit.total_wh
        self._circuit = circuit

    @property
    def counted_wh(self) -> float:
        """Unrounded."""
        return self._before_wh + self._circuit.total_wh

    def count_from(self, counter_wh: float) -> None:
        self._before_wh = counter_wh - self._circuit.total_wh

    def shown(self) -> tuple[float, float]:
        """Power in W and counter in Wh; a stuck one shows what it showed when it stuck."""
        if Fault.COUNTER_RESET in self.faults:
            self.faults.discard(Fault.COUNTER_RESET)
            self.count_from(0.0)
        if Fault.METER_STUCK not in self.faults:
            self._stuck = None
            return self._circuit.power_w(), self.counted_wh
        self._stuck = self._stuck or (self._circuit.power_w(), self.counted_wh)
        return self._stuck

    def current_a(self, power_w: float) -> float:
        return power_w / self.voltage_v / FACTOR


Speaks = Callable[[Meter, bytes], bytes]

# -- PZEM-004T v3 and PZEM-016 ------------------------------------------------------------------------------------

_ALARM_AT_W = 23_000


def pzem_unit(unit: int, circuit: Circuit) -> Meter:
    meter = Meter(f"modbus:{unit}", circuit, _pzem)
    meter.registers = {pzem.ALARM_W: _ALARM_AT_W, pzem.UNIT: unit}
    return meter


def _pzem(meter: Meter, request: bytes) -> bytes:
    try:
        frame = pzem.read_request(request)
    except BadFrame:
        return b""
    return modbus.encode(_pzem_answer(meter, frame)) if frame.unit in (meter.number, pzem.ANY_UNIT) else b""


def _pzem_answer(meter: Meter, frame: Frame) -> Frame:
    match frame.function:
        case modbus.READ_REGISTERS if frame.address + frame.value <= pzem.VALUES:
            words = _pzem_words(meter)[frame.address : frame.address + frame.value]
            return modbus.answer_registers(frame.unit, frame.function, words)
        case modbus.READ_HOLDING if all(at in meter.registers for at in _span(frame)):
            return modbus.answer_registers(frame.unit, frame.function, [meter.registers[at] for at in _span(frame)])
        case modbus.WRITE_REGISTER if frame.address in meter.registers:
            meter.registers[frame.address] = frame.value
            return frame
        case pzem.RESET_ENERGY:
            meter.count_from(0.0)
            return frame
    return modbus.failed(frame, NO_ADDRESS)


def _span(frame: Frame) -> range:
    return range(frame.address, frame.address + frame.value)


def _pzem_words(meter: Meter) -> tuple[int, ...]:
    """Its registers; a chip that has lost its senses shows all ones, another device its own half a volt."""
    power_w, counted_wh = meter.shown()
    values = pzem.Values(
        voltage_v=meter.voltage_v,
        current_a=meter.current_a(power_w),
        power_w=power_w,
        energy_wh=int(counted_wh) % 10_000_000,
        frequency_hz=meter.frequency_hz,
        power_factor=FACTOR if power_w else 0.0,
        alarm=power_w > meter.registers[pzem.ALARM_W],
    )
    words = modbus.registers_of(pzem.answer_values(meter.number, values))
    if WireFault.OTHER_KIND in meter.faults:
        return (5, *words[1:])
    broken = Fault.METER_NAN in meter.faults or Fault.METER_GARBAGE in meter.faults
    return (0xFFFF,) * len(words) if broken else words


# -- Eastron SDM120 and SDM230 ------------------------------------------------------------------------------------


def eastron_unit(unit: int, circuit: Circuit) -> Meter:
    return Meter(f"modbus:{unit}", circuit, _eastron)


def _eastron(meter: Meter, request: bytes) -> bytes:
    try:
        frame = modbus.read_request(request)
    except BadFrame:
        return b""
    if frame.unit != meter.number:
        return b""
    even = not (frame.address % 2 or frame.value % 2)
    if frame.function != modbus.READ_REGISTERS:
        return modbus.encode(modbus.failed(frame, NO_FUNCTION))
    if not even or frame.value > _EASTRON_MOST or frame.address not in eastron.QUANTITIES:
        return modbus.encode(modbus.failed(frame, NO_ADDRESS))
    shown = _eastron_shown(meter)
    return modbus.encode(eastron.answer(frame.unit, [shown.get(at, 0.0) for at in _span(frame)[::2]]))


_EASTRON_MOST = 80  # registers of one answer


def _eastron_shown(meter: Meter) -> dict[int, float]:
    power_w, counted_wh = meter.shown()
    if Fault.METER_NAN in meter.faults:
        return dict.fromkeys(eastron.QUANTITIES, math.nan)
    if Fault.METER_GARBAGE in meter.faults:
        return dict.fromkeys(eastron.QUANTITIES, 1e30)
    sign = -1 if meter.turned else 1
    return {
        eastron.VOLTAGE: 0.5 if WireFault.OTHER_KIND in meter.faults else meter.voltage_v,
        eastron.CURRENT: meter.current_a(power_w),
        eastron.POWER: sign * power_w,
        eastron.FREQUENCY: meter.frequency_hz,
        eastron.ENERGY_TOTAL: counted_wh / 1000,
    }


# -- DL/T 645-2007 ------------------------------------------------------------------------------------------------

_NO_SUCH_DATA = 2


def dlt645_unit(number: str, circuit: Circuit) -> Meter:
    """`number` as on its plate, twelve digits."""
    meter = Meter(f"dlt645:{number}", circuit, _dlt645)
    meter.answers_after_s = 0.1
    return meter


def _dlt645(meter: Meter, request: bytes) -> bytes:
    try:
        frame = dlt645.read_request(request)
    except BadFrame:
        return b""
    number = meter.address.removeprefix("dlt645:")
    if any(asked not in (digit, "a") for asked, digit in zip(frame.address, number, strict=True)):
        return b""
    return dlt645.encode(_dlt645_answer(meter, number, frame))


def _dlt645_answer(meter: Meter, number: str, frame: dlt645.Frame) -> dlt645.Frame:
    if frame.function == dlt645.READ_ADDRESS:
        return dlt645.answer(number, frame.function, dlt645.address_bytes(number))
    di = frame.data[::-1].hex().upper()
    shown = _dlt645_shown(meter)
    if frame.function != dlt645.READ or di not in shown:
        return dlt645.refusal(number, frame.function, _NO_SUCH_DATA)
    quantity = dlt645_data.QUANTITIES[di]
    broken = Fault.METER_NAN in meter.faults or Fault.METER_GARBAGE in meter.faults
    value = b"\xff" * quantity.size if broken else dlt645_data.number_bytes(quantity, shown[di])
    return dlt645.answer(number, frame.function, frame.data + value)


def _dlt645_shown(meter: Meter) -> dict[str, float]:
    power_w, counted_wh = meter.shown()
    return {
        "00010000": counted_wh / 1000,
        "02010100": 0.5 if WireFault.OTHER_KIND in meter.faults else meter.voltage_v,
        "02020100": meter.current_a(power_w),
        "02030000": (-power_w if meter.turned else power_w) / 1000,
        "02800002": meter.frequency_hz,
    }

"""Meters on a line as their firmware behaves: each sees the circuit that it is wired to, whoever switches that."""

from collections.abc import Callable

from controller.core.errors import BadFrame
from firmware_bridge.codecs import modbus, pzem
from firmware_bridge.codecs.modbus import Frame
from simulators.twins.contact import FACTOR, MAINS_V, Fault
from simulators.twins.line import ANSWERS_AFTER_S, Circuit, WireFault

NO_FUNCTION, NO_ADDRESS, NO_VALUE = 1, 2, 3


class Meter:
    """What all meters have: a counter of their own that goes on when they are wired elsewhere."""

    def __init__(self, address: str, circuit: Circuit, speaks: "Speaks") -> None:
        self.address = address
        self.voltage_v = MAINS_V
        self.frequency_hz = 50.0
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

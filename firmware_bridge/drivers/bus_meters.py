"""Meters on a bus: what to ask each kind, and what its answers say. A reading is made of answers of one round."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import NamedTuple

import msgspec
from msgspec.structs import replace

from controller.core.errors import BadFrame
from controller.core.events import Reading, Stamp
from firmware_bridge.codecs import dlt645, dlt645_data, eastron, modbus, pzem
from firmware_bridge.drivers.units import meter_number, modbus_unit
from firmware_bridge.wire import Message

TOGETHER_S = 3.0  # a counter older than this is not of the same round as the power


class Values(msgspec.Struct, frozen=True):
    """What one answer told."""

    power_w: float | None = None
    energy_wh: float | None = None
    voltage_v: float | None = None
    current_a: float | None = None


class Question(NamedTuple):
    payload: bytes
    read: Callable[[bytes], Values]  # BadFrame if the answer is none of this kind of meter


# Kinds by the name of their family. The question that is answered with the power is the last of its round.
Questions = Callable[[str], Sequence[Question]]


def pzem_questions(address: str) -> Sequence[Question]:
    return [Question(modbus.encode(pzem.ask_values(modbus_unit(address))), _pzem_values)]


def _pzem_values(payload: bytes) -> Values:
    values = pzem.read_values(pzem.read_reply(payload))
    return Values(values.power_w, float(values.energy_wh), values.voltage_v, values.current_a)


def eastron_questions(address: str) -> Sequence[Question]:
    """Seven quantities from the voltage on, of which three tell something to every model."""
    asks = [(eastron.ENERGY_TOTAL, 1, _eastron_energy), (eastron.VOLTAGE, _BLOCK, _eastron_block)]
    unit = modbus_unit(address)
    return [Question(modbus.encode(eastron.ask(unit, at, count)), read) for at, count, read in asks]


_BLOCK = 1 + (eastron.POWER - eastron.VOLTAGE) // 2


def _eastron_energy(payload: bytes) -> Values:
    (kwh,) = _floats(payload, 1)
    return _sensible(Values(energy_wh=round(kwh * 1000, 3)))


def _eastron_block(payload: bytes) -> Values:
    """What flows in reverse is drawn all the same: people turn clamps, and no charger feeds."""
    floats = _floats(payload, _BLOCK)
    at = [(quantity - eastron.VOLTAGE) // 2 for quantity in (eastron.POWER, eastron.CURRENT)]
    power_w, current_a = (abs(floats[place]) for place in at)
    return _sensible(Values(power_w=power_w, voltage_v=floats[0], current_a=current_a))


def _floats(payload: bytes, count: int) -> Sequence[float]:
    floats = eastron.read_floats(eastron.read_reply(payload))
    if len(floats) != count:
        raise BadFrame("length", f"{len(floats)} quantities where {count} were asked for")
    return floats


def dlt645_questions(address: str) -> Sequence[Question]:
    number = meter_number(address)
    return [Question(dlt645.encode(dlt645.ask(number, di)), partial(_dlt645_values, di)) for di in _DLT645]


def _dlt645_values(di: str, payload: bytes) -> Values:
    reply, quantity = dlt645.read_reply(payload), dlt645_data.QUANTITIES[di]
    if reply.function != dlt645.READ or reply.failed or reply.data[:4] != dlt645.di_bytes(di):
        raise BadFrame("malformed", f"no answer to the question for {quantity.name}")
    return _sensible(_DLT645[di](dlt645_data.read_number(quantity, reply.data[4:])))


_DLT645: Mapping[str, Callable[[float], Values]] = {
    "00010000": lambda kwh: Values(energy_wh=round(kwh * 1000, 3)),
    "02010100": lambda voltage_v: Values(voltage_v=voltage_v),
    "02030000": lambda kw: Values(power_w=round(abs(kw) * 1000, 1)),
}


def _sensible(values: Values) -> Values:
    """A meter lives on the mains that it measures."""
    for name, (least, most) in _LIMITS.items():
        value = getattr(values, name)
        if value is not None and not least <= value <= most:
            raise BadFrame("range", f"{name} {value}: no such meter shows that")
    return values


_LIMITS = {"voltage_v": (60, 300), "current_a": (0, 120), "power_w": (0, 30_000), "energy_wh": (0, 1e9)}

METERS: Mapping[str, Questions] = {
    "pzem-004t": pzem_questions,
    "eastron-sdm": eastron_questions,
    "dlt645": dlt645_questions,
}


class Meter:
    """One meter of one outlet. Keeps what was told since the last reading, and nothing longer."""

    def __init__(self, outlet: str, address: str, questions: Sequence[Question]) -> None:
        self._outlet = outlet
        self._questions = {question.payload: question.read for question in questions}
        self._told = Values()
        self._since_s: float | None = None  # of the round under way
        self._spoiled = False
        self.address = address

    def asks(self) -> list[Message]:
        return [Message(self.address, payload) for payload in self._questions]

    def receive(self, message: Message, now: Stamp) -> Reading | None:
        """None while the power of this round is not told; power without the counter is a reading without it.

        BadFrame spoils the whole round: what says nonsense once says no truth beside it.
        """
        read = self._questions.get(message.asked)
        if read is None:
            return None
        if self._since_s is None or now.steady_s - self._since_s > TOGETHER_S:
            self._since_s, self._told, self._spoiled = now.steady_s, Values(), False
        try:
            values = read(message.payload)
        except BadFrame:
            self._spoiled = True
            raise
        told = {name: value for name in values.__struct_fields__ if (value := getattr(values, name)) is not None}
        self._told = replace(self._told, **told)
        return self._reading(now)

    def _reading(self, now: Stamp) -> Reading | None:
        told, power_w, spoiled = self._told, self._told.power_w, self._spoiled
        if power_w is None:
            return None
        self._since_s = None
        if spoiled:
            return None
        return Reading(
            at=now.at,
            steady_s=now.steady_s,
            outlet=self._outlet,
            power_w=power_w,
            energy_wh=told.energy_wh,
            voltage_v=told.voltage_v,
            current_a=told.current_a,
        )

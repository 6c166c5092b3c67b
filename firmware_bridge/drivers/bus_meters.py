"""Meters on a bus: what to ask each kind, and what its answers say. A reading is made of answers of one round."""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import msgspec
from msgspec.structs import replace

from controller.core.events import Reading, Stamp
from firmware_bridge.codecs import modbus
from firmware_bridge.codecs import pzem as pzem_codec
from firmware_bridge.drivers.units import modbus_unit
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
    return [Question(modbus.encode(pzem_codec.ask_values(modbus_unit(address))), _pzem_values)]


def _pzem_values(payload: bytes) -> Values:
    values = pzem_codec.read_values(pzem_codec.read_reply(payload))
    return Values(values.power_w, float(values.energy_wh), values.voltage_v, values.current_a)


METERS: Mapping[str, Questions] = {"pzem-004t": pzem_questions}


class Meter:
    """One meter of one outlet. Keeps what was told since the last reading, and nothing longer."""

    def __init__(self, outlet: str, address: str, questions: Sequence[Question]) -> None:
        self._outlet = outlet
        self._questions = {question.payload: question.read for question in questions}
        self._told = Values()
        self._since_s = 0.0
        self.address = address

    def asks(self) -> list[Message]:
        return [Message(self.address, payload) for payload in self._questions]

    def receive(self, message: Message, now: Stamp) -> Reading | None:
        """None while the power of this round is not told; power without the counter is a reading without it."""
        read = self._questions.get(message.asked)
        if read is None:
            return None
        values = read(message.payload)
        if now.steady_s - self._since_s > TOGETHER_S:
            self._told = Values()
        if self._told == Values():
            self._since_s = now.steady_s
        told = {name: value for name in values.__struct_fields__ if (value := getattr(values, name)) is not None}
        self._told = replace(self._told, **told)
        return self._reading(now)

    def _reading(self, now: Stamp) -> Reading | None:
        told, power_w = self._told, self._told.power_w
        if power_w is None:
            return None
        self._told = Values()
        return Reading(
            at=now.at,
            steady_s=now.steady_s,
            outlet=self._outlet,
            power_w=power_w,
            energy_wh=told.energy_wh,
            voltage_v=told.voltage_v,
            current_a=told.current_a,
        )

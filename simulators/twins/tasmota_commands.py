"""What a Tasmota device does when told: one function a command, given the index behind its name and its argument."""

import re
from collections.abc import Callable
from typing import TYPE_CHECKING

from simulators.twins.contact import FOREVER_S
from simulators.twins.tasmota_outlet import OPTIONS, TELE_MIN_S

if TYPE_CHECKING:
    from simulators.twins.tasmota_firmware import Firmware

BACKLOG_MAX = 30
PULSE_TIMERS = 32
SWITCH_MODE_MAX = 16
NUMERIC_OPTIONS = range(32, 50)
POWER_ON_STATES = range(5)  # 5, which turns the meaning of PulseTime round, is not played
ON_WORDS, OFF_WORDS, TOGGLE_WORDS = ("on", "1", "true"), ("off", "0", "false"), ("toggle", "2")


def execute(firmware: "Firmware", command: str, argument: str) -> None:
    match = re.fullmatch(r"([a-z]+)(\d{0,4})", command.lower())
    handler = COMMANDS.get(match[1]) if match else None
    if match is None or handler is None:
        firmware.result("COMMAND", '{"Command":"Unknown"}')
        return
    handler(firmware, int(match[2]) if match[2] else None, argument.strip())


def run_backlog(firmware: "Firmware") -> None:
    """One command of the queue; the next follows after the gap."""
    command, _, argument = firmware.backlog.popleft().partition(" ")
    firmware.backlog_at_s = firmware.at_s + firmware.gap_s if firmware.backlog else FOREVER_S
    execute(firmware, command, argument)


def _backlog(firmware: "Firmware", index: int | None, argument: str) -> None:
    """A full queue drops the rest without a word; an empty argument clears it."""
    if not argument:
        firmware.backlog.clear()
        firmware.backlog_at_s = FOREVER_S
        return
    room = BACKLOG_MAX - len(firmware.backlog)
    firmware.backlog.extend([part.strip() for part in argument.split(";") if part.strip()][:room])
    firmware.gap_s = 0.0 if index == 0 else firmware.options[34] / 1000
    firmware.backlog_at_s = min(firmware.backlog_at_s, firmware.at_s)


def _power(firmware: "Firmware", index: int | None, argument: str) -> None:
    channels = range(len(firmware.outlets)) if index == 0 else [(index or 1) - 1]
    for channel in channels:
        if channel < len(firmware.outlets):
            _power_one(firmware, channel, argument.lower())


def _power_one(firmware: "Firmware", channel: int, word: str) -> None:
    outlet = firmware.outlets[channel]
    if word in (*ON_WORDS, firmware.config.words[1].lower()):
        firmware.switch(channel, on=True)
    elif word in (*OFF_WORDS, firmware.config.words[0].lower()):
        firmware.switch(channel, on=False)
    elif word in TOGGLE_WORDS:
        firmware.switch(channel, on=not outlet.on)
    else:
        if not word and firmware.config.empty_power_cancels_pulse:
            outlet.pulse_ends_s = FOREVER_S
        firmware.say_power(channel)


def _pulse_time(firmware: "Firmware", index: int | None, argument: str) -> None:
    if index is None and not argument:
        unused = [0] * (PULSE_TIMERS - len(firmware.outlets))
        sets = [outlet.pulse_code for outlet in firmware.outlets] + unused
        remains = [outlet.pulse_left_code(firmware.at_s) for outlet in firmware.outlets] + unused
        firmware.result("PULSETIME", f'{{"PulseTime":{{"Set":{_list(sets)},"Remaining":{_list(remains)}}}}}')
        return
    number = index or 1
    if number > len(firmware.outlets):
        return
    outlet = firmware.outlets[number - 1]
    if (code := _number(argument)) is not None and 0 <= code <= 64_900:
        outlet.set_pulse(code, firmware.at_s)
    timer = f'{{"Set":{outlet.pulse_code},"Remaining":{outlet.pulse_left_code(firmware.at_s)}}}'
    firmware.result("PULSETIME", f'{{"PulseTime{number}":{timer}}}')


def _power_on_state(firmware: "Firmware", index: int | None, argument: str) -> None:
    if (state := _number(argument)) in POWER_ON_STATES and state is not None:
        firmware.power_on_state = state
    firmware.result("POWERONSTATE", f'{{"PowerOnState":{firmware.power_on_state}}}')


def _set_option(firmware: "Firmware", index: int | None, argument: str) -> None:
    number = index or 0
    words = dict.fromkeys(ON_WORDS, 1) | dict.fromkeys(OFF_WORDS, 0)
    value = _number(argument) if number in NUMERIC_OPTIONS else words.get(argument.lower())
    if value is not None:
        firmware.options[number] = value
        if number == 19:
            firmware.say_discovery()
    now = firmware.options.get(number, OPTIONS.get(number, 0))
    shown = str(now) if number in NUMERIC_OPTIONS else f'"{firmware.word(bool(now))}"'
    firmware.result("SETOPTION", f'{{"SetOption{number}":{shown}}}')


def _switch_mode(firmware: "Firmware", index: int | None, argument: str) -> None:
    number = index or 1
    firmware.switch_modes.setdefault(number, 0)
    if (mode := _number(argument)) is not None and mode <= SWITCH_MODE_MAX:
        firmware.switch_modes[number] = mode
    firmware.result("SWITCHMODE", f'{{"SwitchMode{number}":{firmware.switch_modes[number]}}}')


def _tele_period(firmware: "Firmware", index: int | None, argument: str) -> None:
    """Empty asks for everything now; a period too short is the shortest there is."""
    if (period_s := _number(argument)) is not None and 0 <= period_s <= 3600:
        firmware.tele_s = max(period_s, TELE_MIN_S) if period_s else 0
        firmware.tele_at_s = firmware.at_s + firmware.tele_s if firmware.tele_s else FOREVER_S
    firmware.result("TELEPERIOD", f'{{"TelePeriod":{firmware.tele_s}}}')
    if not argument:
        firmware.tele()


def _power_delta(firmware: "Firmware", index: int | None, argument: str) -> None:
    number = index or 1
    if number > len(firmware.outlets):
        return
    outlet = firmware.outlets[number - 1]
    if (code := _number(argument)) is not None and 0 <= code <= 32_000:
        outlet.delta_code = code
    firmware.result("POWERDELTA", f'{{"PowerDelta{number}":{outlet.delta_code}}}')


def _power_retain(firmware: "Firmware", index: int | None, argument: str) -> None:
    if argument:
        firmware.power_retain = argument.lower() in ON_WORDS
    firmware.result("POWERRETAIN", f'{{"PowerRetain":"{firmware.word(firmware.power_retain)}"}}')


def _limit(name: str) -> Callable[["Firmware", int | None, str], None]:
    def limit(firmware: "Firmware", index: int | None, argument: str) -> None:
        if (value := _number(argument)) is not None and value >= 0:
            firmware.limits[name] = value
        firmware.result(name, f'{{"{name}":{firmware.limits[name]}}}')

    return limit


def _status(firmware: "Firmware", index: int | None, argument: str) -> None:
    if argument in ("8", "10"):
        firmware.answer(f"STATUS{argument}", f'{{"StatusSNS":{firmware.sensor(period=False)}}}')
    elif argument == "11":
        firmware.answer("STATUS11", f'{{"StatusSTS":{firmware.state()}}}')
    else:
        firmware.answer("STATUS", f'{{"Status":{{"Topic":"{firmware.config.topic}","PowerRetain":0}}}}')


def _restart(firmware: "Firmware", index: int | None, argument: str) -> None:
    if argument == "1":
        firmware.boot(cold=False)


def _number(argument: str) -> int | None:
    return int(argument) if re.fullmatch(r"\d{1,6}", argument) else None


def _list(numbers: list[int]) -> str:
    return f"[{','.join(map(str, numbers))}]"


COMMANDS: dict[str, Callable[["Firmware", int | None, str], None]] = {
    "backlog": _backlog,
    "power": _power,
    "pulsetime": _pulse_time,
    "poweronstate": _power_on_state,
    "setoption": _set_option,
    "switchmode": _switch_mode,
    "teleperiod": _tele_period,
    "powerdelta": _power_delta,
    "powerretain": _power_retain,
    "maxpower": _limit("MaxPower"),
    "maxpowerhold": _limit("MaxPowerHold"),
    "maxpowerwindow": _limit("MaxPowerWindow"),
    "status": _status,
    "restart": _restart,
}

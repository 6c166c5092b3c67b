"""Every device we can play, by the name of its family: given a MAC, what is plugged in, and the time."""

from collections.abc import Callable, Sequence

from simulators.twins.contact import Load
from simulators.twins.shelly import NAME as SHELLY
from simulators.twins.shelly import ShellyConfig, ShellyTwin
from simulators.twins.tasmota import NAME as TASMOTA
from simulators.twins.tasmota import TasmotaConfig, TasmotaTwin
from simulators.twins.twin import Twin


def _tasmota(mac: str, loads: Sequence[Load], now_s: float) -> Twin:
    return TasmotaTwin(TasmotaConfig(mac=mac, topic=f"tasmota_{mac[-6:]}"), loads, now_s)


def _shelly(mac: str, loads: Sequence[Load], now_s: float) -> Twin:
    """Of several models and firmwares: which, its MAC decides."""
    kind = int(mac[-1], 16)
    config = ShellyConfig(mac=mac, returns=kind % 2 == 0, stale_status=kind % 3 == 0, names_itself=kind % 4 != 1)
    return ShellyTwin(config, loads, now_s)


TWINS: dict[str, Callable[[str, Sequence[Load], float], Twin]] = {TASMOTA: _tasmota, SHELLY: _shelly}

"""A Tasmota socket: commands in, reports out, a contact that is the truth, and faults on demand."""

from collections.abc import Sequence

from simulators.twins.contact import Fault, Load, Nothing, Publish
from simulators.twins.tasmota_firmware import NAME, Firmware, TasmotaConfig
from simulators.twins.tasmota_outlet import Outlet
from simulators.twins.twin import Twin

__all__ = ["NAME", "Fault", "Load", "Nothing", "Publish", "TasmotaConfig", "TasmotaTwin"]


class TasmotaTwin(Twin):
    def __init__(self, config: TasmotaConfig, loads: Sequence[Load], now_s: float = 0.0) -> None:
        outlets = [Outlet(load) for load in loads]
        super().__init__(Firmware(config, outlets, now_s), outlets, now_s)
        self.config = config

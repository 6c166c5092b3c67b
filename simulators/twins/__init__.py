"""Every device we can play, by the name of its family."""

from collections.abc import Callable, Sequence

from simulators.twins.tasmota import NAME as TASMOTA
from simulators.twins.tasmota import Load, TasmotaTwin

TWINS: dict[str, Callable[[Sequence[Load], float], TasmotaTwin]] = {TASMOTA: TasmotaTwin.typical}

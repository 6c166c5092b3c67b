"""What the JSON API takes and gives about devices that come to be ours: adopting, replacing, looking for them."""

from typing import Annotated

from pydantic import Field, StringConstraints

from api.v1.shapes import Asked, Given, IdIn, Name
from controller.core.adoption import WATCHDOG_S

FoundId = Annotated[str, StringConstraints(min_length=3, max_length=128, pattern=r"^[!-~]+$")]
NumberOrNone = Annotated[str, StringConstraints(max_length=64, strip_whitespace=True, pattern=r"^[^\x00-\x1f\x7f]*$")]
Meters = Annotated[
    list[FoundId | None] | None,
    Field(
        max_length=64,
        description="For a board that does not measure by itself: by channel, the found meter behind it.",
        examples=[["pzem-004t:shed-1/modbus:11"]],
    ),
]


class Watchdog(Asked):
    """A timer of its own before the whole board, which cuts unless the relay of `channel` (from 0) is pulsed."""

    s: Annotated[float, Field(strict=True, ge=WATCHDOG_S[0], le=WATCHDOG_S[1], examples=[60.0])]
    channel: Annotated[int, Field(strict=True, ge=0, le=63, examples=[7])]


WatchdogOrNone = Annotated[Watchdog | None, Field(examples=[None])]


class Adopt(Asked):
    """`numbers`: one for each outlet of the device, in the order of its channels; empty: left out, and not ours."""

    found: Annotated[FoundId, Field(examples=["waveshare-relay:shed-1/modbus:1"])]
    site: Annotated[IdIn, Field(examples=["yinshan"])]
    name: Annotated[Name, Field(examples=["Gate 2, left"])]
    numbers: Annotated[list[NumberOrNone], Field(min_length=1, max_length=64, examples=[["A-03"]])]
    meters: Meters = None
    watchdog: WatchdogOrNone = None


class Replace(Asked):
    """What takes the place: another device (null: the board stays), other meters (null: that one stays)."""

    found: Annotated[FoundId | None, Field(examples=["tasmota:DC4F22AABBDD"])] = None
    meters: Meters = None
    watchdog: WatchdogOrNone = None


class Oddity(Given):
    """Something answers there, but not as any device we know."""

    address: Annotated[str, Field(examples=["shed-1/modbus:7"])]
    fault: Annotated[str, Field(examples=["crc"])]


class Scan(Given):
    """How far a scan of a bus is: `asked` of `total` questions are done with."""

    bus: Annotated[str, Field(examples=["shed-1"])]
    asked: Annotated[int, Field(examples=[120])]
    total: Annotated[int, Field(examples=[1400])]
    done: Annotated[bool, Field(examples=[False])]
    found: Annotated[list[str], Field(examples=[["pzem-004t:shed-1/modbus:11"]])]
    odd: list[Oddity]


class Bus(Given):
    """`scan`: the newest since the gateway started."""

    name: Annotated[str, Field(examples=["shed-1"])]
    scan: Scan | None = None


class Buses(Given):
    buses: list[Bus]

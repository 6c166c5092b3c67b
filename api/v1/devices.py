"""Other hardware for a pile of ours, and the search for devices on a bus."""

from typing import Annotated

from fastapi import APIRouter, Path, Request

from api.services import Services, services_of
from api.v1.calls import CHANGES, READS, Calling, Maintainer, not_found
from api.v1.device_shapes import Bus, Buses, Replace, Scan
from api.v1.scopes import EVERYWHERE, PileAt
from api.v1.shapes import Done
from controller.core.events import Change

router = APIRouter(tags=["outlets"])
BusPath = Annotated[str, Path(pattern=r"^[a-z0-9][a-z0-9-]{0,31}$")]


@router.post(
    "/piles/{pile}/replace",
    operation_id="replaceDevice",
    summary="Put a device in a dead one's place",
    responses=CHANGES,
)
async def replace_device(staffer: Maintainer, pile: PileAt, body: Replace, call: Calling) -> Done:
    """Outlets, numbers, stickers and history stay. What is new is proven anew before it serves."""
    return Done(subject=await call.changed(staffer, Change.REPLACE, pile.id, body.model_dump()))


@router.get(
    "/buses",
    operation_id="listBuses",
    summary="Serial lines, and their scans",
    responses=READS,
    dependencies=[EVERYWHERE],
)
async def list_buses(staffer: Maintainer, request: Request) -> Buses:
    services = services_of(request)
    return Buses(buses=[Bus(name=bus, scan=_scan(services, bus)) for bus in services.strangers.buses()])


@router.post(
    "/buses/{bus}/scan",
    operation_id="scanBus",
    summary="Look for devices on a bus",
    responses=CHANGES,
    dependencies=[EVERYWHERE],
)
async def scan_bus(staffer: Maintainer, bus: BusPath, call: Calling) -> Scan:
    """Goes on beside the traffic of the outlets there, and switches nothing. One under way is not begun again."""
    call.services.strangers.scan(bus)
    return _known(call.services, bus)


@router.get(
    "/buses/{bus}/scan",
    operation_id="getScan",
    summary="How far a scan is",
    responses=READS,
    dependencies=[EVERYWHERE],
)
async def get_scan(staffer: Maintainer, bus: BusPath, request: Request) -> Scan:
    return _known(services_of(request), bus)


def _scan(services: Services, bus: str) -> Scan | None:
    scanned = services.strangers.scanned(bus)
    return None if scanned is None else Scan.model_validate(scanned)


def _known(services: Services, bus: str) -> Scan:
    scan = _scan(services, bus)
    if scan is None:
        raise not_found()
    return scan

"""The manager's desk: our own server-rendered pages over `queries`; every change is a form that becomes one event."""

from fastapi import APIRouter

from api.pages.console import (
    devices,
    entry,
    house,
    inputs,
    limits,
    money,
    outlets,
    overview,
    programs,
    sessions,
    upkeep,
    watch,
)

router = APIRouter(include_in_schema=False)
for _part in (entry, overview, outlets, sessions, money, house, programs, limits, inputs, devices, watch, upkeep):
    router.include_router(_part.router)

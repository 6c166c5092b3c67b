"""The manager's desk: our own server-rendered pages over `queries`; every change is a form that becomes one event."""

from fastapi import APIRouter

from api.pages.console import (
    adopting,
    devices,
    entry,
    finish,
    house,
    inputs,
    limits,
    money,
    outlets,
    overview,
    programs,
    readers,
    sessions,
    upkeep,
    watch,
)

router = APIRouter(include_in_schema=False)
PARTS = (
    entry,
    overview,
    outlets,
    sessions,
    money,
    house,
    finish,
    programs,
    limits,
    inputs,
    readers,
    devices,
    adopting,
    watch,
    upkeep,
)
for _part in PARTS:
    router.include_router(_part.router)

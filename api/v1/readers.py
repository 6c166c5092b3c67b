"""Card readers at this gateway, and the cards swiped there that nobody knows yet."""

from typing import Annotated

from fastapi import APIRouter, Request
from pydantic import Field

from api.card_numbers import forms
from api.services import services_of
from api.v1.calls import READS, Manager, Onsite
from api.v1.scopes import EVERYWHERE
from api.v1.shapes import At, Given

router = APIRouter(tags=["money"])


class Reader(Given):
    """`state` is reads, silent or gone; `faults` are counted by name since the gateway started."""

    name: Annotated[str, Field(examples=["shed-1"])]
    kind: Annotated[str, Field(examples=["pn532"])]
    port: Annotated[str, Field(examples=["/dev/serial/by-id/usb-1a86_USB_Serial-if00-port0"])]
    outlet: Annotated[str, Field(examples=[""])]
    pile: Annotated[str, Field(examples=["p1"])]
    state: Annotated[str, Field(examples=["reads"])]
    device: Annotated[str, Field(examples=["PN532 1.6"])]
    faults: Annotated[dict[str, int], Field(examples=[{"two_cards": 1}])]
    swipes: Annotated[int, Field(examples=[12])]


class Readers(Given):
    readers: list[Reader]


class Swiped(Given):
    """A card's number as read, reversed, and both in decimal: one of them is usually printed on it."""

    reader: Annotated[str, Field(examples=["shed-1"])]
    at: At
    uid: Annotated[str, Field(examples=["CB98A605"])]
    reversed_uid: Annotated[str, Field(examples=["05A698CB"])]
    decimal: Annotated[str, Field(examples=["3415778821"])]
    reversed_decimal: Annotated[str, Field(examples=["0094804171"])]


class Swipes(Given):
    swipes: list[Swiped]


@router.get("/readers", operation_id="listReaders", summary="Card readers", responses=READS, dependencies=[EVERYWHERE])
async def list_readers(staffer: Onsite, request: Request) -> Readers:
    readers = services_of(request).readers
    standing = () if readers is None else readers.standing()
    return Readers(readers=[Reader.model_validate(reader) for reader in standing])


@router.get(
    "/readers/swipes",
    operation_id="listSwipes",
    summary="Unknown cards swiped lately",
    responses=READS,
    dependencies=[EVERYWHERE],
)
async def list_swipes(staffer: Manager, request: Request) -> Swipes:
    """The newest first: what to enrol with `addCard`. Kept in memory alone, and only the last few."""
    readers = services_of(request).readers
    swipes: list[Swiped] = []
    for swipe in () if readers is None else readers.unknown():
        known = forms(swipe.uid)
        swipes.append(
            Swiped(
                reader=swipe.reader,
                at=swipe.at,
                uid=swipe.uid,
                reversed_uid=known.reversed_hex,
                decimal=known.decimal,
                reversed_decimal=known.reversed_decimal,
            )
        )
    return Swipes(swipes=swipes)

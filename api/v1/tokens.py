"""API tokens: made and revoked by people, used by programs."""

from typing import Annotated

from fastapi import APIRouter, Depends, Request

from api.links import NewToken, Wish, make_token, revoke_token, seen_tokens, tokens_of
from api.services import services_of
from api.v1.calls import CHANGES, READS, Calling, IdPath, Manager, check_site
from api.v1.link_shapes import NewToken as NewTokenIn
from api.v1.link_shapes import Token, TokenMade
from api.v1.scopes import marked
from api.v1.shapes import Done
from controller.links import TokenRow

router = APIRouter(tags=["programs"])


@marked("site")
def my_tokens(staffer: Manager, request: Request) -> list[TokenRow]:
    return seen_tokens(services_of(request), staffer)


@marked("site")
def token_in(staffer: Manager, token: IdPath) -> str:
    """Whose it is is looked at where it is revoked: first in memory, that works without a database."""
    return token


@marked("site")
def giving(staffer: Manager, body: NewTokenIn) -> NewTokenIn:
    for site in body.sites:
        check_site(staffer, site)
    return body


@router.get("/tokens", operation_id="listTokens", summary="Tokens, newest first", responses=READS)
def list_tokens(staffer: Manager, rows: Annotated[list[TokenRow], Depends(my_tokens)], request: Request) -> list[Token]:
    """The revoked ones too. A manager sees those of their sites."""
    tokens = tokens_of(request)
    return [_shown(row, tokens.used_at(row.id)) for row in rows]


def _shown(row: TokenRow, used_at: float | None) -> Token:
    fields = {name: getattr(row, name) for name in Token.model_fields if name != "used_at"}
    return Token(**fields, used_at=used_at)


@router.post("/tokens", operation_id="makeToken", summary="Make a token", status_code=201, responses=CHANGES)
async def add_token(
    staffer: Manager, body: Annotated[NewTokenIn, Depends(giving)], call: Calling, request: Request
) -> TokenMade:
    """Shown once. It has never more rights than its maker has at the moment, and is for this API alone."""
    new = NewToken(call.id_of("token"), body.name, body.role, tuple(body.sites), body.days)
    token, expires_at = await make_token(Wish(request, staffer, call.key, call.wish), new)
    return TokenMade(subject=new.id, token=token, expires_at=expires_at)


@router.delete("/tokens/{token}", operation_id="revokeToken", summary="Revoke a token", responses=CHANGES)
async def drop_token(
    staffer: Manager, token: Annotated[str, Depends(token_in)], call: Calling, request: Request
) -> Done:
    """At once, with the database away as well; ask again with the same key until it is recorded."""
    await revoke_token(Wish(request, staffer, call.key, call.wish), token)
    return Done(subject=token)

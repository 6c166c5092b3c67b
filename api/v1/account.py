"""Log-in, log-out and who one is."""

from fastapi import APIRouter, Request, Response

from api.auth import NotAllowed, clear_cookie, logins_of, same_origin, set_cookie, token_of
from api.services import services_of
from api.v1.calls import Anybody, problems
from api.v1.shapes import LoggedIn, LogIn, Me

router = APIRouter(tags=["account"])


@router.post("/login", operation_id="logIn", summary="Log in", responses=problems(422, 429, 503))
async def log_in(body: LogIn, request: Request, response: Response) -> LoggedIn:
    """Sets the staff cookie; any session of before stays what it was and gains nothing."""
    if not same_origin(request):
        raise NotAllowed("csrf")
    token, staffer = await logins_of(request).login(request, body.login, body.password)
    set_cookie(response, services_of(request), token)
    return LoggedIn.model_validate({**Me.model_validate(staffer).model_dump(), "token": token})


@router.post("/logout", operation_id="logOut", summary="Log out", status_code=204, responses=problems())
async def log_out(staffer: Anybody, request: Request, response: Response) -> None:
    logins_of(request).close(token_of(request) or "")
    clear_cookie(response, services_of(request))


@router.get("/me", operation_id="whoAmI", summary="Who am I", responses=problems())
async def who_am_i(staffer: Anybody) -> Me:
    return Me.model_validate(staffer)

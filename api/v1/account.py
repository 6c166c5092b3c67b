"""Log-in, log-out, who one is, and what the words of refusals mean."""

from fastapi import APIRouter, Request, Response

from api.auth import NotAllowed, clear_cookie, logins_of, same_origin, set_cookie, token_of
from api.codes import CODES, path_of
from api.services import services_of
from api.v1.calls import Anybody, IdPath, not_found, problems, said
from api.v1.scopes import ONESELF
from api.v1.shapes import LoggedIn, LogIn, Me, Rows, Word

router = APIRouter(tags=["account"])


@router.post("/login", operation_id="logIn", summary="Log in", responses=problems(422, 429, 503))
async def log_in(body: LogIn, request: Request, response: Response) -> LoggedIn:
    """Sets the staff cookie; any session of before stays what it was and gains nothing."""
    if not same_origin(request):
        raise NotAllowed("csrf")
    token, staffer = await logins_of(request).login(request, body.login, body.password)
    set_cookie(response, services_of(request), token)
    return LoggedIn.model_validate({**Me.model_validate(staffer).model_dump(), "token": token})


@router.post(
    "/logout",
    operation_id="logOut",
    summary="Log out",
    status_code=204,
    responses=problems(503),
    dependencies=[ONESELF],
)
async def log_out(staffer: Anybody, request: Request, response: Response) -> None:
    logins_of(request).close(token_of(request) or "")
    clear_cookie(response, services_of(request))


@router.get("/me", operation_id="whoAmI", summary="Who am I", responses=problems(503), dependencies=[ONESELF])
async def who_am_i(staffer: Anybody) -> Me:
    return Me.model_validate(staffer)


@router.get("/problems", operation_id="listProblems", summary="Every word a refusal may carry", responses=said(503))
async def list_problems() -> Rows[Word]:
    return Rows[Word](rows=[_word(code) for code in sorted(CODES)], next=None)


@router.get("/problems/{code}", operation_id="getProblem", summary="What a word means", responses=said(404, 422, 503))
async def get_problem(code: IdPath) -> Word:
    """`type` of a problem leads here."""
    if code not in CODES:
        raise not_found()
    return _word(code)


def _word(code: str) -> Word:
    known = CODES[code]
    return Word(code=code, type=path_of(code), status=known.status, title=known.title, todo=known.todo)

"""Failures as programs read them: problem+json, and what a refusal is in HTTP."""

from pydantic import BaseModel, Field
from starlette.responses import JSONResponse

from api.codes import CODES, code_of, path_of

PROBLEM_TYPE = "application/problem+json"


class Problem(BaseModel):
    """RFC 9457, with a stable word in `code`; `type` is where the word is explained."""

    type: str = Field(examples=["/api/v1/problems/busy"])
    title: str = Field(examples=["The outlet is in use."])
    status: int = Field(examples=[409])
    detail: str = Field(
        description="What happened, and what to do next.",
        examples=["Outlet A-03 is in use. Wait until its charge has ended, or stop that charge first."],
    )
    code: str = Field(examples=["busy"])
    key: str | None = Field(None, description="Ask again with this Idempotency-Key.", examples=["order-7f3a91c2"])


def status_of(code: str) -> int:
    """What a refusal is in HTTP: 409 unless it says more."""
    return code_of(code).status


def problem_of(status: int, word: str, detail: str, key: str | None = None) -> Problem:
    known = CODES.get(word)
    title = known.title if known is not None else word.replace("_", " ")
    todo = known.todo if known is not None else ""
    return Problem(
        type=path_of(word) if known is not None else "about:blank",
        title=title,
        status=status,
        detail=_said(detail, todo),
        code=word,
        key=key,
    )


def problem(status: int, code: str, detail: str, key: str | None = None, **headers: str) -> JSONResponse:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    body = problem_of(status, code, detail, key).model_dump(exclude_none=True)
    return JSONResponse(body, status, named, PROBLEM_TYPE)


def _said(detail: str, todo: str) -> str:
    """Two sentences: what happened, what to do next."""
    first = detail[:1].upper() + detail[1:].rstrip()
    ended = first if first.endswith((".", "!", "?")) else f"{first}."
    return f"{ended} {todo}".strip()

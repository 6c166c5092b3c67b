"""Failures as programs read them: problem+json, and what a refusal is in HTTP."""

from pydantic import BaseModel, Field
from starlette.responses import JSONResponse

PROBLEM_TYPE = "application/problem+json"
_STATUS = {
    "unknown_outlet": 404,
    "unknown_order": 404,
    "unknown_refund": 404,
    "unknown_site": 404,
    "unknown_device": 404,
    "unknown": 404,
    "card_unknown": 404,
    "login_failed": 401,
    "amount": 422,
    "invalid": 422,
    "password_length": 422,
    "overloaded": 503,
    "database_away": 503,
    "clock_untrusted": 503,
}


class Problem(BaseModel):
    """RFC 9457, with a stable word in `code`."""

    type: str = Field("about:blank", examples=["about:blank"])
    title: str = Field(examples=["refused"])
    status: int = Field(examples=[409])
    detail: str = Field(examples=["outlet 3 is in use"])
    code: str = Field(examples=["busy"])
    key: str | None = Field(None, description="Ask again with this Idempotency-Key.", examples=[None])


def status_of(code: str) -> int:
    """What a refusal is in HTTP: 409 unless it says more."""
    return 422 if code.startswith("tariff_") else _STATUS.get(code, 409)


def problem(status: int, code: str, detail: str, key: str | None = None, **headers: str) -> JSONResponse:
    body = Problem(type="about:blank", title=code.replace("_", " "), status=status, detail=detail, code=code, key=key)
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return JSONResponse(body.model_dump(exclude_none=True), status, named, PROBLEM_TYPE)

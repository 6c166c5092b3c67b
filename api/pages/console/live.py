"""Live numbers for open pages: what the board says, sent when it has changed; or once, to those who poll."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from typing import Any, Final

from fastapi import Request
from starlette.responses import JSONResponse, Response, StreamingResponse

EVERY_S: Final = 1.0
ALIVE_EVERY: Final = 15  # looks without news, after which a comment keeps proxies from hanging up
HEADERS: Final = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}

News = dict[str, Any]


def live(request: Request, look: Callable[[], News | None]) -> Response:
    """`look` must not read the database; None ends the stream."""
    if "once" in request.query_params:
        return JSONResponse(look() or {}, headers=HEADERS)
    return StreamingResponse(_stream(request, look), media_type="text/event-stream", headers=HEADERS)


async def _stream(request: Request, look: Callable[[], News | None]) -> AsyncIterator[str]:
    told, quiet = "", 0
    while not await request.is_disconnected():
        news = look()
        if news is None:
            return
        text = json.dumps(news, ensure_ascii=False, separators=(",", ":"))
        quiet = 0 if text != told else quiet + 1
        if text != told:
            told = text
            yield f"data: {text}\n\n"
        elif quiet % ALIVE_EVERY == 0:
            yield ":\n\n"
        await asyncio.sleep(EVERY_S)

"""`anchong commission`: proves an outlet on the device itself, through the API of the gateway that runs it."""

import json
import threading
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from typing import Annotated, Any

import typer

from anchong.logs import quiet
from api.pages import words
from controller.core.proving_steps import NEEDED

LOOKS_S = 0.5
UNITS = {"w": " W", "s": " s"}
ANSWER_S = 10.0
AWAY_LOOKS = 60  # half a minute: a gateway that restarts has ended the programme by then, and says so
Answer = tuple[int, dict[str, Any]]  # status and body; status 0: no answer, `detail` says why
Fetch = Callable[[str, str], Answer]  # method and path


class BadInput(Exception):
    """In one line, for whoever typed it."""


def commission(
    outlet: Annotated[str, typer.Argument(help="its id, as in the address of its page in the console")],
    url: Annotated[str, typer.Option(help="where the gateway's pages are")] = "http://127.0.0.1:8000",
    token: Annotated[str, typer.Option(envvar="ANCHONG_TOKEN", help="of an owner, a maintainer or a program")] = "",
    lang: Annotated[str, typer.Option(help="en or zh")] = "en",
    as_json: Annotated[bool, typer.Option("--json", help="machine-readable: one object at the end")] = False,
) -> None:
    """Prove an outlet: relay, meter, lease, renewal, power-up. Exit 0: proven; 1: not.

    Example: ANCHONG_TOKEN=… anchong commission 3f9c2a71 --url https://charge.example
    """
    quiet()
    try:
        fetch = _checked(url, token, lang)
        say = (lambda line: None) if as_json else typer.echo
        done = proved(fetch, urllib.parse.quote(outlet, safe=""), lang, say, threading.Event().wait)
    except BadInput as bad:
        typer.echo(str(bad), err=True)
        raise typer.Exit(2) from bad
    if as_json:
        typer.echo(json.dumps(done, ensure_ascii=False))
    raise typer.Exit(0 if done["proven"] else 1)


def _checked(url: str, token: str, lang: str) -> Fetch:
    if lang not in words.LANGS:
        raise BadInput(f"--lang is {' or '.join(words.LANGS)}")
    if not token or not token.isascii() or not token.isprintable():
        raise BadInput("a token is needed: --token, or ANCHONG_TOKEN in the environment")
    if urllib.parse.urlsplit(url).scheme not in ("http", "https"):
        raise BadInput(f"--url {url}: this is no address of pages")
    return lambda method, path: _fetched(url.rstrip("/"), token, method, path)


def _fetched(url: str, token: str, method: str, path: str) -> Answer:
    request = urllib.request.Request(f"{url}/api/v1{path}", method=method)  # noqa: S310 - its scheme was looked at
    request.add_header("authorization", f"Bearer {token}")
    straight = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with straight.open(request, timeout=ANSWER_S) as answer:
            return answer.status, _body(answer.read())
    except urllib.error.HTTPError as error:
        with error:
            return error.code, _body(error.read())
    except (OSError, ValueError) as error:
        return 0, {"detail": f"{url} does not answer: {getattr(error, 'reason', error)}"}


def _body(raw: bytes) -> dict[str, Any]:
    try:
        body = json.loads(raw)
    except ValueError:
        return {"detail": "this is no gateway's answer"}
    return body if isinstance(body, dict) else {}


# -- the programme, followed --------------------------------------------------------------------------------------


def proved(
    fetch: Fetch, outlet: str, lang: str, say: Callable[[str], None], wait: Callable[[float], object]
) -> dict[str, Any]:
    """What came of it: outlet, proven, failed, step, says, record, proof."""
    status, body = fetch("POST", f"/outlets/{outlet}/commission")
    if status in (0, 401, 403, 404, 422):
        raise BadInput(f"outlet {outlet}: {body.get('detail', '')} {body.get('what_to_do', '')}".strip())
    if status != 200:
        says = str(body.get("detail", f"the gateway answered {status}"))
        say(says)
        return _came_of(outlet, {"failed": body.get("code", str(status))}, says)
    told = Told(lang, say)
    shown: dict[str, Any] = {}
    for shown in _looks(fetch, outlet, wait):
        told.look(shown.get("live") or {})
    says = told.end(shown)
    return _came_of(outlet, shown, says)


def _looks(fetch: Fetch, outlet: str, wait: Callable[[float], object]) -> Iterator[dict[str, Any]]:
    """Until it is no longer being proven."""
    unheard = 0
    while unheard < AWAY_LOOKS:
        status, shown = fetch("GET", f"/outlets/{outlet}")
        unheard = 0 if status == 200 else unheard + 1
        if status == 200:
            yield shown
            if shown["phase"] != "proving":
                return
        wait(LOOKS_S)
    raise BadInput(f"outlet {outlet}: the gateway no longer answers; what came of it stands on the outlet's page")


def _came_of(outlet: str, shown: dict[str, Any], says: str) -> dict[str, Any]:
    failure = shown.get("failure") or {}
    proven = shown.get("phase") in ("commissioned", "open")
    kept = {name: shown.get(name) for name in ("record", "proof")} if proven else {"evidence": failure.get("evidence")}
    failed = None if proven else shown.get("failed")
    return {"outlet": outlet, "proven": proven, "failed": failed, "step": failure.get("step"), "says": says, **kept}


class Told:
    """Each step, figure and thing to do is said once."""

    def __init__(self, lang: str, say: Callable[[str], None]) -> None:
        self._lang = lang
        self._say = say
        self._step = self._todo = ""
        self._measured: set[str] = set()

    def look(self, live: dict[str, Any]) -> None:
        self._figures(live.get("proving_measured") or {})
        step, todo = live.get("proving_step") or "", live.get("proving_todo") or ""
        if step and step != self._step:
            self._say(f"{self._word(f'step.{step}', step)}: {self._word(f'step.{step}.how', '')}")
        if todo and todo != self._todo:
            self._say(f"  >> {self._word(f'todo.{todo}', todo)}")
        self._step, self._todo = step, todo

    def end(self, shown: dict[str, Any]) -> str:
        failed = shown.get("failed")
        measured = shown["record"] if failed is None else (shown.get("failure") or {}).get("evidence") or {}
        self._figures(measured)
        says = self._why(str(failed)) if failed is not None else self._proven(shown)
        self._say(says)
        return says

    def _proven(self, shown: dict[str, Any]) -> str:
        proof = shown.get("proof") or {}
        cut_by = self._word(f"cut_by.{proof.get('cut_by')}", "")
        parts = (proof.get("model"), proof.get("firmware"), cut_by, self._word(f"lease.{shown['lease_class']}", ""))
        return ": ".join((self._word("change.commissioned", "proven"), " · ".join(str(part) for part in parts if part)))

    def _why(self, failed: str) -> str:
        key = "failed.silent" if failed.startswith("silent_at_") else f"failed.{failed}"
        return f"{self._word('change.commissioning_failed', 'not proven')}: {self._word(key, failed)}"

    def _figures(self, measured: dict[str, Any]) -> None:
        for name, value in measured.items():
            if name not in self._measured:
                self._measured.add(name)
                self._say(f"    {self._word(f'figure.{name}', name)}: {self._value(name, value)}")

    def _value(self, name: str, value: Any) -> str:
        """The unit is the last word of a figure's name."""
        if not isinstance(value, int | float):
            return str(value)
        if name in NEEDED:
            return self._word("yes" if value else "no", str(value))
        return f"{value:g}{UNITS.get(name.rpartition('_')[2], '')}"

    def _word(self, key: str, otherwise: str) -> str:
        return words.t(self._lang, f"desk.{key}") if words.knows(self._lang, f"desk.{key}") else otherwise

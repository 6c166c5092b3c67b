"""`anchong commission`: proves outlets on the device itself, through the API of the gateway that runs it."""

import json
import threading
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Sequence
from typing import Annotated, Any

import typer

from anchong.logs import quiet
from api.pages import words
from controller.core.proving_steps import NEEDED

LOOKS_S = 0.5
UNITS = {"w": " W", "s": " s"}
ANSWER_S = 10.0
OK = 200
AWAY_LOOKS = 60  # half a minute: a gateway that restarts has ended the programme by then, and says so
Answer = tuple[int, dict[str, Any]]  # status and body; status 0: no answer, `detail` says why
Fetch = Callable[[str, str], Answer]  # method and path


class BadInput(Exception):
    """In one line, for whoever typed it."""


def commission(
    outlets: Annotated[list[str], typer.Argument(help="ids, as in the addresses of their pages in the console")],
    url: Annotated[str, typer.Option(help="where the gateway's pages are")] = "http://127.0.0.1:8080",
    token: Annotated[str, typer.Option(envvar="ANCHONG_TOKEN", help="of an owner, a maintainer or a program")] = "",
    lang: Annotated[str, typer.Option(help="en or zh")] = "en",
    as_json: Annotated[bool, typer.Option("--json", help="machine-readable: one object an outlet, at the end")] = False,
) -> None:
    """Prove outlets: relay, meter, lease, renewal, power-up. Exit 0: all are proven; 1: not.

    Example: ANCHONG_TOKEN=… anchong commission 3f9c2a71 --url https://charge.example
    """
    quiet()
    try:
        fetch = _checked(url, token, lang)
        say = (lambda line: None) if as_json else typer.echo
        done = proved(fetch, list(dict.fromkeys(outlets)), lang, say, threading.Event().wait)
    except BadInput as bad:
        typer.echo(str(bad), err=True)
        raise typer.Exit(2) from bad
    for one in done if as_json else ():
        typer.echo(json.dumps(one, ensure_ascii=False))
    raise typer.Exit(0 if all(one["proven"] for one in done) else 1)


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
    fetch: Fetch, outlets: Sequence[str], lang: str, say: Callable[[str], None], wait: Callable[[float], object]
) -> list[dict[str, Any]]:
    """What came of each: outlet, proven, failed, step, says, and record and proof or evidence."""
    shown = [_known(fetch, outlet) for outlet in outlets]
    prefixes = [f"{one['number']}  " if len(shown) > 1 else "" for one in shown]
    programmes = [
        Programme(fetch, outlet, Told(lang, say, prefix)) for outlet, prefix in zip(outlets, prefixes, strict=True)
    ]
    for programme in programmes:
        programme.begin()
    while left := [programme for programme in programmes if not programme.came_of]:
        for programme in left:
            programme.look()
        wait(LOOKS_S)
    return [programme.came_of for programme in programmes]


def _known(fetch: Fetch, outlet: str) -> dict[str, Any]:
    status, shown = fetch("GET", _path(outlet))
    if status != OK:
        raise BadInput(f"outlet {outlet}: {shown.get('detail', f'the gateway answered {status}')}")
    return shown


def _path(outlet: str) -> str:
    return f"/outlets/{urllib.parse.quote(outlet, safe='')}"


class Programme:
    """One outlet's, until `came_of` says what it has come to."""

    def __init__(self, fetch: Fetch, outlet: str, told: "Told") -> None:
        self.came_of: dict[str, Any] = {}
        self._fetch = fetch
        self._outlet = outlet
        self._told = told
        self._unheard = 0

    def begin(self) -> None:
        status, body = self._fetch("POST", f"{_path(self._outlet)}/commission")
        if status in (0, 401, 403, 404, 422):
            raise BadInput(f"outlet {self._outlet}: {body.get('detail', '')}")
        if status != OK:
            says = str(body.get("detail", f"the gateway answered {status}"))
            self._told.say(says)
            self._ended({"failed": body.get("code", str(status))}, says)

    def look(self) -> None:
        """A gateway that does not answer for a moment may be restarting."""
        status, shown = self._fetch("GET", _path(self._outlet))
        self._unheard = 0 if status == OK else self._unheard + 1
        if self._unheard >= AWAY_LOOKS:
            raise BadInput("the gateway no longer answers; what came of it stands on the outlet's page")
        if status == OK:
            self._told.look(shown.get("live") or {})
            if shown["phase"] != "proving":
                self._ended(shown, self._told.end(shown))

    def _ended(self, shown: dict[str, Any], says: str) -> None:
        failure = shown.get("failure") or {}
        proven = shown.get("phase") in ("commissioned", "open")
        kept = {name: shown.get(name) for name in ("record", "proof")}
        self.came_of = {
            "outlet": self._outlet,
            "proven": proven,
            "failed": None if proven else shown.get("failed"),
            "step": failure.get("step"),
            "says": says,
            **(kept if proven else {"evidence": failure.get("evidence")}),
        }


class Told:
    """Each step, figure and thing to do is said once."""

    def __init__(self, lang: str, say: Callable[[str], None], prefix: str = "") -> None:
        self._lang = lang
        self.say: Callable[[str], None] = lambda line: say(f"{prefix}{line}")
        self._step = self._todo = ""
        self._measured: set[str] = set()

    def look(self, live: dict[str, Any]) -> None:
        self._figures(live.get("proving_measured") or {})
        step, todo = live.get("proving_step") or "", live.get("proving_todo") or ""
        if step and step != self._step:
            self.say(f"{self._word(f'step.{step}', step)}: {self._word(f'step.{step}.how', '')}")
        if todo and todo != self._todo:
            self.say(f"  >> {self._word(f'todo.{todo}', todo)}")
        self._step, self._todo = step, todo

    def end(self, shown: dict[str, Any]) -> str:
        failed = shown.get("failed")
        measured = shown["record"] if failed is None else (shown.get("failure") or {}).get("evidence") or {}
        self._figures(measured)
        says = self._why(str(failed)) if failed is not None else self._proven(shown)
        self.say(says)
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
                self.say(f"    {self._word(f'figure.{name}', name)}: {self._value(name, value)}")

    def _value(self, name: str, value: Any) -> str:
        """The unit is the last word of a figure's name."""
        if not isinstance(value, int | float):
            return str(value)
        if name in NEEDED:
            return self._word("yes" if value else "no", str(value))
        return f"{value:g}{UNITS.get(name.rpartition('_')[2], '')}"

    def _word(self, key: str, otherwise: str) -> str:
        return words.t(self._lang, f"desk.{key}") if words.knows(self._lang, f"desk.{key}") else otherwise

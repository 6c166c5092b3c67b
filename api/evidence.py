"""All the evidence of one session in one zip: why it was cut, the curve, the commands, the trips and the money.

Whoever doubts a stop, or a bill, can check it without us: `anchong replay` reads the curve, `sha256sum` the rest.
Nobody's name is in it, and no secret; for a resident the staff who acted are but "staff".
"""

import csv
import hashlib
import io
import json
import zipfile
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Any

import msgspec
from starlette.responses import StreamingResponse

from api.curve import svg
from api.pages import why, words
from api.services import Services
from api.version import version
from controller.core.reasons import OCPP_STOPPED_REASON, StopReason
from controller.core.state import Rules
from controller.lists import Between
from controller.paging import Turn
from controller.queries import Queries
from controller.records import AlarmRow, OutletDetail, SessionDetail, TransferRow

ZIP = "application/zip"
FORMAT = "anchong-evidence/1"
ALARMS_MAX = 200
AROUND_S = 600.0  # an alarm about this charge is raised while off is being proven, at the latest
BY_ITSELF = "gateway"

# What a guard or an input cuts for, without asking anybody; what a detector or a clock decides is in session.json.
TRIPS = frozenset(
    {
        StopReason.OVERLOAD,
        StopReason.OVERHEAT,
        StopReason.SMOKE,
        StopReason.FLOOD,
        StopReason.LEAKAGE,
        StopReason.OVER_VOLTAGE,
        StopReason.UNDER_VOLTAGE,
        StopReason.NOT_A_CHARGER,
        StopReason.RELAY_FAULT,
        StopReason.FUSE_BLOWN,
        StopReason.METER_FAULT,
        StopReason.SITE_CUT,
    }
)
COMMANDS = {
    "on_decided": "ON decided and committed",
    "on_confirmed": "ON confirmed by the device",
    "charging": "a load was seen",
    "paused": "OFF decided, to wait",
    "suspended": "held: nothing is renewed",
    "queued": "off, in line for power",
    "stop": "OFF decided and sent",
    "off_proven": "off was proven",
    "off_proven:lease_expired": "silent: off by its own timer",
    "off_proven:never_on": "it was never on",
    "off_proven:none": "off could not be proven",
}


class Facts(msgspec.Struct, frozen=True):
    """What is known of one session, as rows."""

    session: SessionDetail
    outlet: OutletDetail | None
    alarms: list[AlarmRow]
    rules: Rules
    at: float


def facts(services: Services, session: SessionDetail) -> Facts:
    """Reads; not for the event loop."""
    return facts_of(services.queries, session, services.rules, services.clock.now().at)


def facts_of(queries: Queries, session: SessionDetail, rules: Rules, at: float) -> Facts:
    alarms = queries.lists.alarms(
        Turn(limit=ALARMS_MAX),
        (session.site_id,),
        outlet=session.outlet_id,
        open_only=False,
        raised=Between(session.opened_at, (session.settled_at or at) + AROUND_S),
    )
    return Facts(session, queries.outlet(session.outlet_id), alarms.rows, rules, at)


def download(known: Facts, lang: str, *, staff: bool) -> StreamingResponse:
    headers = {"Content-Disposition": f'attachment; filename="{name_of(known.session)}"', "Cache-Control": "no-store"}
    return StreamingResponse(pack(known, lang, staff=staff), media_type=ZIP, headers=headers)


def name_of(session: SessionDetail) -> str:
    return f"anchong-{words.bill_number(session.id)}.zip"


def pack(known: Facts, lang: str, *, staff: bool) -> Iterator[bytes]:
    """The zip in pieces, one file at a time in memory; its last file holds the sums of the others."""
    sums: list[str] = []
    sink = _Sink()
    moment = datetime.fromtimestamp(known.at, UTC).timetuple()[:6]
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED) as whole:
        for name, text in _files(known, lang, staff):
            body = text.encode()
            sums.append(f"{hashlib.sha256(body).hexdigest()}  {name}\n")
            whole.writestr(zipfile.ZipInfo(name, moment), body, zipfile.ZIP_DEFLATED)
            yield sink.taken()
        whole.writestr(zipfile.ZipInfo("SHA256SUMS", moment), "".join(sums), zipfile.ZIP_DEFLATED)
    yield sink.taken()


class _Sink(io.RawIOBase):
    """What the zip writes, until it is taken; it can't seek, so a zip is written straight on."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self._parts.append(bytes(data))
        return len(data)

    def taken(self) -> bytes:
        taken, self._parts = b"".join(self._parts), []
        return taken


# -- the files ----------------------------------------------------------------------------------------------------


def _files(known: Facts, lang: str, staff: bool) -> Iterator[tuple[str, str]]:
    session = known.session
    yield "README.txt", _readme(known, lang)
    yield "session.json", _json(_session(known, staff))
    yield "curve.csv", _csv(("t_s", "power_w", "energy_wh"), curve_of(session))
    yield "curve.svg", _picture(lang, session)
    yield "commands.csv", _csv(("t_s", "at", "utc", "what", "meaning", "evidence"), _commands(session))
    yield "trips.csv", _csv(("t_s", "at", "utc", "source", "what", "evidence"), _trips(known))
    yield "money.json", _json(_money(session, staff))


def curve_of(session: SessionDetail) -> list[list[float]]:
    """As it was kept, and the reading that decided, which came between two that are kept."""
    rows = [list(row) for row in session.curve]
    power_w = session.evidence.get("power_w")
    if session.off_at is None or session.started_at is None or not rows or not isinstance(power_w, int | float):
        return rows
    cut_s = round(session.off_at - session.started_at, 1)
    return rows if cut_s <= rows[-1][0] else [*rows, [cut_s, power_w, session.energy_wh]]


def _session(known: Facts, staff: bool) -> dict[str, Any]:
    s, outlet = known.session, known.outlet
    if outlet is not None and outlet.pile.adopted_at > s.opened_at:
        outlet = None  # another device has taken its place since: nothing of this one was so then
    full = why.how_full(s)
    return {
        "format": FORMAT,
        "session": s.id,
        "bill": words.bill_number(s.id),
        "site": {"id": s.site_id, "name": s.site_name, "zone": s.zone},
        "outlet": {"id": s.outlet_id, "number": s.number, "pile": s.pile_name},
        "phase": s.phase,
        "times": {name: getattr(s, name) for name in ("opened_at", "started_at", "off_at", "settled_at")},
        "phases": [{"at": m.at, "what": m.what, "evidence": m.evidence} for m in s.moments],
        "stop": {
            "reason": s.reason,
            "ocpp_stopped_reason": OCPP_STOPPED_REASON[StopReason(s.reason)] if s.reason else None,
            "rule": s.rule,
            "by": s.stopped_by and _by(s.stopped_by, staff),
            "proof": s.proof,
            "evidence": s.evidence,
            "said": {of: why.sentence(of, s.reason, s.rule, s.evidence) for of in words.LANGS} if s.reason else {},
        },
        "energy_wh": s.energy_wh,
        "peak_w": s.peak_w,
        "probably_full_percent": None if full is None else [full.least, full.most],
        "versions": {
            "program": version(),
            "device": None
            if outlet is None
            else {of: getattr(outlet.pile, of) for of in ("family", "model", "firmware")},
            "rules": msgspec.to_builtins(known.rules),
            "finish_rules": msgspec.to_builtins(s.finish_rules),
            "tariff": msgspec.to_builtins(s.tariff),
        },
        "outlet_limits": None if outlet is None else {"power_w": outlet.power_limit_w, "lease_s": outlet.lease_s},
        "commissioned": None if outlet is None else {"at": outlet.commissioned_at, "measured": outlet.record},
        "written_at": known.at,
    }


def _by(who: str, staff: bool) -> str:
    """`staff:<id>`, `party:<id>`, `gateway`; who of them it was is for the office alone."""
    return who if staff else who.partition(":")[0]


def _commands(s: SessionDetail) -> Iterator[list[object]]:
    for moment in s.moments:
        meaning = COMMANDS.get(moment.what) or COMMANDS.get(moment.what.partition(":")[0])
        if meaning is not None:
            yield [*_when(s, moment.at), moment.what, meaning, _figures(moment.evidence)]


def _trips(known: Facts) -> Iterator[list[object]]:
    s = known.session
    for moment in s.moments:
        word, _, reason = moment.what.partition(":")
        if word == "stop" and reason in TRIPS:
            yield [*_when(s, moment.at), "trip", reason, _figures(moment.evidence)]
    for alarm in reversed(known.alarms):
        yield [*_when(s, alarm.at), "alarm", alarm.kind, _figures(alarm.evidence)]


def _when(s: SessionDetail, at: float) -> list[object]:
    utc = datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return [round(at - (s.started_at or s.opened_at), 3), at, utc]


def _money(s: SessionDetail, staff: bool) -> dict[str, Any]:
    """Whole fen; every transfer with both its accounts, so that a sum can be checked by hand."""
    return {
        "hold_fen": s.hold_fen,
        "bill_fen": s.bill_fen,
        "returned_fen": s.returned_fen,
        "paid_by": "card" if s.card_id is not None else "order",
        "lines": [] if s.receipt is None else s.receipt.lines,
        "transfers": [_transfer(row, staff) for row in s.transfers],
        "refunds": [
            {of: getattr(row, of) for of in ("id", "provider", "amount_fen", "state", "due_at", "done_at", "why")}
            for row in s.refunds
        ],
    }


def _transfer(row: TransferRow, staff: bool) -> dict[str, Any]:
    return {**msgspec.to_builtins(row), "by": _by(row.by, staff)}


def _picture(lang: str, s: SessionDetail) -> str:
    points = [(row[0], row[1]) for row in curve_of(s)]
    cut = None
    if s.off_at is not None and s.started_at is not None and s.reason is not None:
        cut = (max(0.0, s.off_at - s.started_at), words.t(lang, f"short.{s.reason}"))
    levels = [(s.peak_w, f"{words.watts(s.peak_w)} W")] if s.peak_w else []
    return svg(points, width=960, height=360, cut=cut, levels=levels) + "\n"


def _readme(known: Facts, lang: str) -> str:
    """Both languages, the reader's first."""
    s = known.session
    order = (lang, *(other for other in words.LANGS if other != lang))
    values = {"number": words.bill_number(s.id), "site": s.site_name, "outlet": s.number}
    parts = [words.t(of, "pack.readme", **values, why=_why(of, s)) for of in order]
    return "\n\n".join(parts) + "\n"


def _why(lang: str, s: SessionDetail) -> str:
    return why.sentence(lang, s.reason, s.rule, s.evidence) if s.reason else words.t(lang, "pack.goes_on")


# -- forms --------------------------------------------------------------------------------------------------------


def _json(what: dict[str, Any]) -> str:
    return json.dumps(what, ensure_ascii=False, indent=2) + "\n"


def _csv(columns: tuple[str, ...], rows: Iterable[Iterable[object]]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(rows)
    return text.getvalue()


def _figures(evidence: dict[str, Any]) -> str:
    return "; ".join(f"{name}={value}" for name, value in evidence.items())

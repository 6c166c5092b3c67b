"""What the JSON API takes and gives: strict models, an example at every field, nothing that was not asked for."""

from typing import Annotated, Any, Generic, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from api.auth import PASSWORD_MAX, PASSWORD_MIN
from controller.core.cards import TOPUP_FEN_MAX
from controller.core.staff import POWER_W_MAX
from controller.core.tariff import DAY_MIN, MAX_PRICE

T = TypeVar("T")

Id = Annotated[str, Field(examples=["6f1c2a9b4d3e8f705a6b7c8d9e0f1a2b"])]
IdIn = Annotated[str, StringConstraints(min_length=1, max_length=64, pattern=r"^[!-~]+$")]
At = Annotated[float, Field(description="UTC, unix seconds.", examples=[1800000000.0])]
Fen = Annotated[int, Field(description="Whole fen.", examples=[200])]
Wh = Annotated[float, Field(examples=[347.0])]
W = Annotated[float, Field(examples=[168.0])]
LimitW = Annotated[float | None, Field(description="What it may draw; null: no limit.", examples=[7000.0])]
Name = Annotated[
    str, StringConstraints(min_length=1, max_length=64, strip_whitespace=True, pattern=r"^[^\x00-\x1f\x7f]*$")
]
SiteName = Annotated[Name, Field(examples=["Yinshan Garden"])]
Number = Annotated[Name, Field(description="As printed on the box.", examples=["A-03"])]
Zone = Annotated[Name, Field(description="An IANA time zone.", examples=["Asia/Shanghai"])]
Price = Annotated[int, Field(strict=True, ge=0, le=MAX_PRICE, description="1/100 fen per kWh.", examples=[5583])]
Minute = Annotated[int, Field(strict=True, ge=0, le=DAY_MIN, examples=[0])]
Password = Annotated[
    str, StringConstraints(min_length=PASSWORD_MIN, max_length=PASSWORD_MAX), Field(examples=["nine quiet sockets"])
]
Role = Annotated[Literal["owner", "manager", "finance", "maintainer", "auditor"], Field(examples=["manager"])]
Evidence = Annotated[dict[str, Any], Field(examples=[{"peak_w": 168.0}])]


class Asked(BaseModel):
    """A body from outside: an unknown field is refused, so nothing slips in."""

    model_config = ConfigDict(extra="forbid", str_max_length=1000)


class Given(BaseModel):
    """A body of ours, read from a row's attributes."""

    model_config = ConfigDict(from_attributes=True)


class Rows(Given, Generic[T]):
    """One page of a list. `next` is the cursor of the page after it, null on the last."""

    rows: list[T]
    next: Annotated[str | None, Field(examples=["WyItYXQiLDE4MDAwMDAwMDAuMCwiNmYxYyJd"])]
    total: Annotated[int | None, Field(description="Only where it was asked for.", examples=[None])] = None


# -- account ------------------------------------------------------------------------------------------------------


class LogIn(Asked):
    login: Annotated[str, StringConstraints(min_length=1, max_length=64), Field(examples=["lin"])]
    password: Annotated[str, StringConstraints(min_length=1, max_length=PASSWORD_MAX), Field(examples=["nine quiet"])]


class Me(Given):
    """`csrf` goes into the header X-CSRF-Token of every changing request that is sent with the cookie."""

    id: Id
    login: Annotated[str, Field(examples=["lin"])]
    name: Annotated[str, Field(examples=["Lin Wei"])]
    role: Role
    sites: Annotated[list[str], Field(examples=[["yinshan"]])]
    csrf: Annotated[str, Field(examples=["Tn0ZzB3bq0o2mXq5w1v9Jg"])]


class LoggedIn(Me):
    """`token` may be sent as `Authorization: Bearer` instead of the cookie."""

    token: Annotated[str, Field(examples=["kJ2yq7C0m3V5s8Qx1Zb4Lw"])]


class Word(Given):
    """A word that refusals carry in `code`: what it means, and what to do next."""

    code: Annotated[str, Field(examples=["busy"])]
    type: Annotated[str, Field(examples=["/api/v1/problems/busy"])]
    status: Annotated[int, Field(examples=[409])]
    title: Annotated[str, Field(examples=["The outlet is in use."])]
    todo: Annotated[str, Field(examples=["Wait until its charge has ended, or stop that charge first."])]


# -- sites and tariffs --------------------------------------------------------------------------------------------


class Band(Given):
    name: Annotated[str, Field(examples=["day"])]
    from_min: Annotated[int, Field(examples=[0])]
    to_min: Annotated[int, Field(examples=[1440])]
    energy_price: Annotated[int, Field(examples=[5583])]
    service_price: Annotated[int, Field(examples=[3000])]


class BandIn(Asked):
    """Minutes [from_min, to_min) of the local day; together the bands cover the day without overlap."""

    name: Annotated[Name, Field(examples=["day"])]
    from_min: Minute
    to_min: Annotated[Minute, Field(examples=[1440])]
    energy_price: Price
    service_price: Annotated[Price, Field(examples=[3000])]


Bands = Annotated[list[BandIn], Field(min_length=1, max_length=48)]


class Tariff(Given):
    id: Id
    name: Annotated[str, Field(examples=["2026"])]
    zone: Zone
    bands: list[Band]


class PastTariff(Tariff):
    at: At


class Merchant(Given):
    """Whose money it is: the books and the payment account of one or more sites."""

    id: Id
    name: Annotated[str, Field(examples=["Yinshan Property"])]


class MerchantIn(Asked):
    name: Annotated[Name, Field(examples=["Yinshan Property"])]


class Site(Given):
    id: Id
    name: SiteName
    zone: Zone
    merchant_id: Id
    merchant_name: Annotated[str, Field(examples=["Yinshan Property"])]
    power_w: LimitW
    tariff: Tariff
    cut_at: Annotated[
        At | None, Field(description="Cut since then, until a person releases it; null: not cut.", examples=[None])
    ] = None
    cut_by: Annotated[str | None, Field(description="Who cut it, or which input.", examples=["staff:6f1c"])] = None
    cut_why: Annotated[str | None, Field(description="site_cut, smoke or flood.", examples=["site_cut"])] = None


class NewSite(Asked):
    """With its first tariff: a site without prices can sell nothing."""

    name: SiteName
    zone: Zone
    merchant: Annotated[IdIn, Field(examples=["yinshan"])]
    merchant_name: Annotated[Name, Field(examples=["Yinshan Property"])]
    bands: Bands


class SiteChange(Asked):
    """What is left out stays as it is."""

    name: SiteName | None = None
    zone: Zone | None = None


class PowerLimit(Asked):
    """Null: no limit. The breaker stays needed: this keeps it from being reached."""

    power_w: Annotated[float | None, Field(strict=True, gt=0, le=POWER_W_MAX, examples=[7000.0])]


class NewTariff(Asked):
    name: Annotated[Name, Field(examples=["2026"])]
    bands: Bands


class Done(BaseModel):
    """What was changed."""

    subject: Id


class Cut(BaseModel):
    """It holds until somebody releases the site."""

    outlets: Annotated[int, Field(description="How many outlets were sent OFF.", examples=[12])]
    pending: Annotated[bool, Field(description="Off; the record follows when there is a database.")] = False


# -- piles and outlets --------------------------------------------------------------------------------------------


class Wired(BaseModel):
    """What hangs on one input of a device, as a dry contact to ground."""

    model_config = ConfigDict(extra="forbid")

    kind: Annotated[Literal["smoke", "flood", "emergency"], Field(examples=["smoke"])]
    scope: Annotated[
        Literal["pile", "site"],
        Field(description="What it switches off; an emergency button always its site.", examples=["pile"]),
    ] = "site"
    normally: Annotated[
        Literal["open", "closed"],
        Field(
            description="How its loop stands while all is well; closed: a broken wire is an alarm.", examples=["closed"]
        ),
    ] = "open"


InputNumber = Annotated[str, StringConstraints(pattern=r"^([1-9]|1\d|2[0-8])$")]
Inputs = Annotated[
    dict[InputNumber, Wired],
    Field(
        description="By the input's number on the device, from 1.", examples=[{"1": {"kind": "smoke", "scope": "pile"}}]
    ),
]


class InputsIn(Asked):
    """All of them at once: an input that is left out means nothing any more."""

    inputs: Annotated[Inputs, Field(max_length=28)]


class Pile(Given):
    id: Id
    site_id: Id
    name: Annotated[str, Field(examples=["Gate 2, left"])]
    family: Annotated[str, Field(examples=["tasmota"])]
    address: Annotated[str, Field(examples=["DC4F22AABBCC"])]
    model: Annotated[str, Field(examples=["Sonoff S31"])]
    firmware: Annotated[str, Field(examples=["14.2.0"])]
    adopted_at: At
    power_w: LimitW
    inputs: Inputs | None = None
    meters: Annotated[
        list[str | None],
        Field(description="By channel, where they are devices of their own; else empty.", examples=[[]]),
    ] = []


class PileEdit(Asked):
    name: Annotated[Name, Field(examples=["Gate 2, left"])]


class Found(Given):
    id: Annotated[str, Field(examples=["tasmota:DC4F22AABBCC"])]
    family: Annotated[str, Field(examples=["tasmota"])]
    address: Annotated[str, Field(examples=["DC4F22AABBCC"])]
    model: Annotated[str, Field(examples=["Sonoff S31"])]
    firmware: Annotated[str, Field(examples=["14.2.0"])]
    channels: Annotated[int, Field(examples=[1])]
    lease_class: Annotated[str, Field(description="What it can promise by itself.", examples=["renewed"])]
    needs_meters: Annotated[
        bool, Field(description="A board: each of its outlets needs a meter of its own.", examples=[False])
    ]
    seen_at: At


class Adopted(BaseModel):
    """`outlets`: by channel, empty where one was left out."""

    pile: Id
    outlets: Annotated[list[str], Field(examples=[["6f1c2a9b4d3e8f705a6b7c8d9e0f1a2b"]])]


class Live(Given):
    """What the gateway knows this moment, not what is stored."""

    linked: Annotated[bool, Field(examples=[True])]
    power_w: W | None
    relay_on: Annotated[bool | None, Field(examples=[True])]
    reading_at: At | None
    session: Id | None
    session_phase: Annotated[str | None, Field(examples=["charging"])]
    place: Annotated[int | None, Field(description="In the line for power; 1 is next.", examples=[None])]
    paused: Annotated[bool, Field(description="Was charging, and waits for power to go on.", examples=[False])]
    reserved_w: Annotated[int, Field(description="Counted against limits; 0 where there is none.", examples=[230])]
    dead: Annotated[
        str | None,
        Field(description="Kept without power by: input_active, site_cut, latched, locked.", examples=[None]),
    ]
    stop_at: Annotated[int, Field(description="Per cent, about: where its rider wants it to stop.", examples=[100])]
    used_wh: Wh
    cost_fen: Fen
    hold_fen: Fen
    lease_left_s: Annotated[float | None, Field(examples=[92.5])]
    proving_step: Annotated[str | None, Field(examples=[None])]
    proving_steps: Annotated[list[str], Field(description="Of the proof under way, in order.", examples=[[]])]
    proving_todo: Annotated[
        str,
        Field(
            description="What a person has to do for it now: plug_load, take_away or give_back (the device's own"
            " supply), wait_on (until there is power again).",
            examples=[""],
        ),
    ]
    proving_measured: Annotated[dict[str, float], Field(description="By the steps that are done.", examples=[{}])]


class Proof(Given):
    """The last proof that succeeded. It counts while `commissioned_at` stands."""

    at: At
    by: Annotated[str, Field(examples=["staff:s1"])]
    firmware: Annotated[str, Field(examples=["1.4.4"])]
    model: Annotated[str, Field(examples=["PlugSG3"])]
    cut_by: Annotated[str, Field(description="What the lease was seen to cut by: timer, watchdog.", examples=["timer"])]


class Failure(Given):
    """Why the last proof failed, at which step, and what was measured until then."""

    at: At
    step: Annotated[str, Field(description="Empty: proven, and changed since.", examples=["lease"])]
    why: Annotated[str, Field(examples=["never_cut"])]
    evidence: Annotated[dict[str, float | str], Field(examples=[{"load_w": 60.0}])]


class Outlet(Given):
    id: Id
    pile_id: Id
    pile_name: Annotated[str, Field(examples=["Gate 2, left"])]
    site_id: Id
    site_name: SiteName
    channel: Annotated[int, Field(examples=[0])]
    number: Number
    phase: Annotated[str, Field(examples=["open"])]
    lease_class: Annotated[str, Field(examples=["renewed"])]
    latch: Annotated[str | None, Field(examples=[None])]
    locked_by: Annotated[str | None, Field(examples=[None])]
    commissioned_at: At | None
    live: Live | None = None


class OutletDetail(Outlet):
    pile: Pile
    tariff: Tariff
    power_limit_w: Annotated[float, Field(examples=[800.0])]
    lease_s: Annotated[float, Field(examples=[120.0])]
    record: Annotated[dict[str, float], Field(examples=[{"lease_s": 15.0}])]
    proof: Proof | None = None
    failed: Annotated[str | None, Field(examples=[None])]
    failure: Failure | None = None
    stickers: Annotated[list[str], Field(examples=[["1ABCDEFGHJKMNPQR"]])]
    faults: Annotated[
        dict[str, int],
        Field(description="On its wire since the gateway started, by kind.", examples=[{"crc": 3, "silent": 1}]),
    ] = {}


class NewNumber(Asked):
    number: Number


class NewSticker(BaseModel):
    sticker: Annotated[str, Field(examples=["1ABCDEFGHJKMNPQR"])]
    path: Annotated[str, Field(examples=["/S/1ABCDEFGHJKMNPQR7T3V9XYZ"])]


class OldSticker(Asked):
    """The sticker that leads nowhere from now on."""

    old: Annotated[str, StringConstraints(pattern=r"^[0-9A-HJKMNP-TV-Z]{16}$"), Field(examples=["1ABCDEFGHJKMNPQR"])]


# -- staff, alarms, audit -----------------------------------------------------------------------------------------


class Staff(Given):
    id: Id
    login: Annotated[str, Field(examples=["lin"])]
    name: Annotated[str, Field(examples=["Lin Wei"])]
    role: Role
    sites: Annotated[list[str], Field(examples=[["yinshan"]])]
    disabled: Annotated[bool, Field(examples=[False])]
    at: At


SiteIds = Annotated[list[IdIn], Field(max_length=1000, examples=[["yinshan"]])]
Login = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._\-]{2,64}$", to_lower=True), Field(examples=["lin"])]


class NewStaff(Asked):
    login: Login
    name: Annotated[Name, Field(examples=["Lin Wei"])]
    password: Password
    role: Role
    sites: SiteIds


class StaffEdit(Asked):
    """What is left out stays as it is."""

    name: Annotated[Name | None, Field(examples=["Lin Wei"])] = None
    password: Annotated[Password | None, Field(examples=["nine quiet sockets"])] = None
    role: Role | None = None
    sites: SiteIds | None = None
    disabled: Annotated[bool | None, Field(strict=True, examples=[True])] = None


class Alarm(Given):
    id: Annotated[str, Field(examples=["outlet:no_proof:1800000000.000"])]
    at: At
    site_id: Id
    outlet_id: Id
    number: Annotated[str | None, Field(examples=["A-03"])]
    kind: Annotated[str, Field(examples=["no_proof"])]
    evidence: Evidence
    cleared_at: At | None
    cleared_by: Annotated[str | None, Field(examples=[None])]


class Audit(Given):
    """Each hash covers the row and the hash before it."""

    id: Annotated[int, Field(examples=[7])]
    at: At
    by: Annotated[str, Field(examples=["staff:6f1c2a9b"])]
    what: Annotated[str, Field(examples=["open"])]
    subject: Id
    body: Annotated[str, Field(examples=["{}"])]
    hash: Annotated[str, Field(examples=["9f2c…"])]


# -- sessions and money: see money_shapes -------------------------------------------------------------------------

TopUpFen = Annotated[int, Field(strict=True, ge=1, le=TOPUP_FEN_MAX, examples=[5000])]


class LogLevelNow(Given):
    """`until`: when a change for a while falls back by itself; null: this is how it usually is."""

    level: str = Field(examples=["debug"])
    until: float | None = Field(None, examples=[1800000900.0])


class NewLogLevel(Asked):
    """For so many seconds, then as before; 0: as usual, at once."""

    level: Literal["debug", "info", "warning", "error"] = Field("debug", examples=["debug"])
    for_s: float = Field(900.0, ge=0, le=86_400, examples=[900.0])

"""Hooks: told in order, at least once, signed, tried again, marked when they fail, and never a way into our house."""

import hashlib
import hmac
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace
from sqlalchemy import text
from sqlalchemy.exc import OperationalError

from controller import couriers as carrying
from controller import post as posting
from controller.clock import HandClock
from controller.core import effects as fx
from controller.core import events as ev
from controller.core.errors import Refused
from controller.core.links import HOOKS_MAX
from controller.couriers import BATCH, FAILING_S, Courier, Couriers
from controller.feed import Feed
from controller.links import HookRow, Links
from controller.post import BadTarget, post, resolved, target_of
from controller.postman import Postman, signature
from controller.queries import Queries
from tests.house import eventually, free_port
from tests.shell.receiver import Receiver, receivers
from tests.shell.rig import Rig

KEY = b"the gateway's own"


def hired(rig: Rig, role: str = "owner", sites: tuple[str, ...] = (), *, disabled: bool = False) -> None:
    """Whoever the rig's changes are by."""
    row = {"id": "o", "login": "o", "name": "O", "password_hash": "", "role": role, "sites": list(sites), "at": 0.0}
    rig.store.write("hired", [fx.Put("staff", {**row, "disabled": disabled})])


class Post:
    """A gateway's feed and one hook, carried by hand."""

    def __init__(self, folder: Path, url: str, **hook: Any) -> None:
        self.rig = Rig(folder)
        hired(self.rig)
        self.queries = Queries(self.rig.url)
        self.feed = Feed(self.rig.store.newest_fed())
        self.rig.writer._feed = self.feed
        self.real = HandClock()
        self.postman = Postman(KEY, at_home=True, clock=self.real)
        values: dict[str, Any] = {"url": url, "kinds": [], "sites": [], "disabled": False, **hook}
        self.rig.staff(ev.Change.HOOK, "h1", **values)
        self.courier = self.couriered()

    def couriered(self, feed: Feed | None = None) -> Courier:
        hook = self.queries.links.hook("h1")
        assert hook is not None
        feed, links = feed or self.feed, self.queries.links
        return Courier(hook, feed, links, self.postman, self.rig.clock, self.real, self.rig.engine.inbox.tell)

    def alarms(self, count: int, site: str = "s1", name: str = "a") -> None:
        at = self.rig.clock.now().at
        rows = [fx.RaiseAlarm(f"{name}{n}", at, site, "o1", "no_proof", {}) for n in range(count)]
        self.feed.add(self.rig.store.write(f"alarms-{name}", rows, at=at))

    def turns(self, times: int = 1) -> float:
        rest_s = 0.0
        for _ in range(times):
            rest_s = self.courier.turn()
            self.rig.step()
        return rest_s

    def saved(self) -> HookRow:
        row = self.queries.links.hook("h1")
        assert row is not None
        return row

    def close(self) -> None:
        self.queries.close()
        self.rig.store.close()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receivers() as made:
        yield made


@pytest.fixture
def made(tmp_path: Path) -> Iterator[Callable[..., Post]]:
    with ExitStack() as stack:

        def make(url: str, **hook: Any) -> Post:
            post = Post(tmp_path, url, **hook)
            stack.callback(post.close)
            return post

        yield make


# -- told ---------------------------------------------------------------------------------------------------------


def test_a_hook_is_told_what_happens_after_it_was_made_in_order(made: Callable[..., Post], receiver: Receiver) -> None:
    stage = made(receiver.url)
    newest = stage.rig.store.newest_fed()
    stage.alarms(3)
    stage.turns()
    assert receiver.events == [newest + 1, newest + 2, newest + 3]
    event = receiver.letters[0]["events"][0]
    assert (event["kind"], event["site"], event["outlet"]) == ("alarm.raised", "s1", "o1")
    stage.turns(2)
    assert len(receiver.letters) == 1


def test_a_letter_is_signed_over_its_time_and_every_byte(made: Callable[..., Post], receiver: Receiver) -> None:
    stage = made(receiver.url)
    stage.alarms(1)
    stage.turns()
    secret = stage.postman.secret(stage.saved())
    fields = dict(part.split("=", 1) for part in receiver.headers[0]["anchong-signature"].split(","))
    assert int(fields["t"]) == int(stage.real.now().at)
    signed = f"{fields['t']}.".encode() + receiver.bodies[0]
    assert hmac.compare_digest(fields["v1"], hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest())
    assert receiver.headers[0]["anchong-delivery"] == receiver.letters[0]["delivery"]
    assert secret not in receiver.bodies[0].decode() + str(receiver.headers)


def test_each_hook_has_a_secret_of_its_own_and_a_new_one_when_wished(
    made: Callable[..., Post], receiver: Receiver
) -> None:
    stage = made(receiver.url)
    old = stage.saved()
    secrets = {
        stage.postman.secret(old),
        stage.postman.secret(replace(old, at=old.at + 1)),
        stage.postman.secret(replace(old, id="h2")),
        Postman(b"another gateway").secret(old),
    }
    assert len(secrets) == 4
    assert stage.postman.secret(old) == Postman(KEY).secret(old)


def test_only_the_kinds_and_sites_it_wants(made: Callable[..., Post], receiver: Receiver) -> None:
    stage = made(receiver.url, kinds=["alarm.raised"], sites=["s1"])
    stage.alarms(1, site="s1", name="ours")
    stage.alarms(1, site="s2", name="theirs")
    stage.rig.staff(ev.Change.LOCK)
    stage.turns(2)
    (letter,) = receiver.letters
    assert [event["data"]["alarm"] for event in letter["events"]] == ["ours0"]


def test_many_events_go_in_letters_of_a_hundred(made: Callable[..., Post], receiver: Receiver) -> None:
    stage = made(receiver.url)
    stage.alarms(BATCH + 5)
    assert stage.turns() == 0.0
    stage.turns()
    assert [len(letter["events"]) for letter in receiver.letters] == [BATCH, 5]


# -- tried again --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [301, 400, 404, 410, 500, 503])
def test_what_was_not_taken_comes_again_before_anything_else(made: Callable[..., Post], status: int) -> None:
    with receivers(status, 204) as receiver:
        stage = made(receiver.url)
        stage.alarms(2)
        assert 0.5 < stage.turns() < 1.5
        stage.alarms(1, name="later")
        stage.turns(2)
        assert receiver.events == sorted(set(receiver.events))
        assert len(receiver.events) == 3
        deliveries = [headers["anchong-delivery"] for headers in receiver.headers]
        assert deliveries[0] == deliveries[1] != deliveries[2]


def test_the_waits_grow_and_are_never_quite_the_same(made: Callable[..., Post]) -> None:
    stage = made(f"http://127.0.0.1:{free_port()}/nobody")
    stage.alarms(1)
    waits = [stage.turns() for _ in range(8)]
    for wait_s, meant_s in zip(waits, (1, 5, 15, 60, 300, 300, 300, 300), strict=True):
        assert 0.74 * meant_s < wait_s < 1.26 * meant_s
    assert len(set(waits)) == len(waits)
    assert stage.courier.standing.why == "ConnectionRefusedError"


def test_after_an_hour_it_is_marked_people_are_told_and_nothing_is_lost(made: Callable[..., Post]) -> None:
    with receivers(500) as receiver:
        stage = made(receiver.url)
        stage.alarms(2)
        stage.turns()
        assert stage.saved().failing_at is None
        stage.real.advance(FAILING_S)
        assert stage.turns() > 600
        assert stage.saved().failing_at is not None
        (alarm,) = [row for row in stage.queries.alarms().rows if row.kind == "hook_failing"]
        assert alarm.evidence == {"status": 500}
        stage.turns()
        assert len([row for row in stage.queries.alarms().rows if row.kind == "hook_failing"]) == 1
        receiver.answers = [200]
        stage.turns(3)
        assert stage.saved().failing_at is None
        assert not [row for row in stage.queries.alarms().rows if row.kind == "hook_failing"]
        ids = receiver.events
        assert ids == sorted(set(ids))
        assert {"alarm.raised", "alarm.cleared"} <= {
            event["kind"] for letter in receiver.letters for event in letter["events"]
        }


@pytest.mark.parametrize(
    ("role", "sites", "disabled"),
    [("owner", (), True), ("manager", ("s2",), False), ("auditor", ("s1",), False)],
    ids=["dismissed", "site lost", "another role"],
)
def test_who_may_no_longer_be_told_is_told_nothing_by_a_hook_of_old_and_nothing_is_lost(
    made: Callable[..., Post], receiver: Receiver, role: str, sites: tuple[str, ...], disabled: bool
) -> None:
    post = made(receiver.url, sites=["s1"])
    post.alarms(1)
    hired(post.rig, role, sites, disabled=disabled)

    post.turns(2)
    held = (len(receiver.events), post.courier.standing.status, "no longer" in post.courier.standing.why)
    hired(post.rig, "manager", ("s1",))
    post.turns()

    assert held == (0, 0, True)
    assert len(receiver.events) == 1


def test_a_restart_goes_on_where_the_receiver_had_got_to(made: Callable[..., Post], receiver: Receiver) -> None:
    stage = made(receiver.url)
    stage.alarms(3)
    stage.turns()
    stage.real.advance(60)
    stage.turns()
    stage.alarms(2, name="away")
    stage.courier = stage.couriered(Feed(stage.rig.store.newest_fed()))
    stage.turns(2)
    assert receiver.events == list(range(receiver.events[0], receiver.events[0] + 5))


def test_a_hook_that_was_never_reached_misses_nothing_by_a_restart(
    made: Callable[..., Post], receiver: Receiver
) -> None:
    stage = made(receiver.url)
    stage.alarms(3)
    stage.courier = stage.couriered(Feed())
    stage.turns(2)
    assert len(receiver.events) == 3


def test_a_place_that_is_no_longer_kept_is_told_as_a_gap(made: Callable[..., Post], receiver: Receiver) -> None:
    stage = made(receiver.url)
    stage.turns()
    place = stage.courier.place
    assert place is not None
    stage.alarms(5)
    with stage.rig.store.engine.begin() as db:
        db.execute(text("DELETE FROM feed WHERE id <= :last"), {"last": place + 3})
    stage.courier = stage.couriered(Feed(stage.rig.store.newest_fed()))
    stage.turns()
    (letter,) = receiver.letters
    assert letter["gap"] == {"after": place, "next": place + 4}
    assert receiver.events == [place + 4, place + 5]


def test_a_disk_that_is_away_is_not_the_receivers_fault(
    made: Callable[..., Post], receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage = made(receiver.url)
    stage.courier = stage.couriered(Feed())

    def away(*args: object) -> int:
        raise OperationalError("SELECT", {}, OSError("away"))

    monkeypatch.setattr(Links, "hook", away)
    assert stage.courier.turn() == carrying.DISK_S
    assert stage.courier.standing.failures == 0


# -- many at once -------------------------------------------------------------------------------------------------


@pytest.fixture
def many(tmp_path: Path) -> Iterator[tuple[Rig, Couriers, Feed]]:
    rig = Rig(tmp_path)
    hired(rig)
    queries = Queries(rig.url)
    feed = Feed(rig.store.newest_fed())
    rig.writer._feed = feed
    postman = Postman(KEY, at_home=True)
    couriers = Couriers(feed, queries.links, postman, rig.clock, rig.engine.inbox.tell)
    couriers.start()
    yield rig, couriers, feed
    couriers.stop()
    queries.close()
    rig.store.close()


def hooked(rig: Rig, couriers: Couriers, hook: str, url: str, **other: Any) -> None:
    values = {"url": url, "kinds": [], "sites": [], "disabled": False, **other}
    rig.clock.advance(1.0)
    rig.staff(ev.Change.HOOK, hook, **values)
    at = rig.clock.now().at
    couriers.changed({"id": hook, "made_by": "staff:o", "at": at, **values})


def test_a_dead_receiver_delays_nobody_else(many: tuple[Rig, Couriers, Feed]) -> None:
    rig, couriers, _ = many
    with receivers() as dead, receivers() as alive:
        dead.free.clear()
        hooked(rig, couriers, "dead", dead.url)
        hooked(rig, couriers, "alive", alive.url)
        rig.staff(ev.Change.LOCK)
        assert dead.came.wait(5.0)
        eventually(lambda: len(alive.events) == 1)
        for number in range(5):
            rig.staff(ev.Change.UNLOCK if number % 2 == 0 else ev.Change.LOCK, key=f"k{number}")
        eventually(lambda: len(alive.events) == 6)
        assert dead.events == []


def test_a_hook_that_is_gone_or_paused_is_told_no_more(many: tuple[Rig, Couriers, Feed]) -> None:
    rig, couriers, _ = many
    with receivers() as receiver:
        hooked(rig, couriers, "h1", receiver.url)
        rig.staff(ev.Change.LOCK)
        eventually(lambda: len(receiver.events) == 1)
        hooked(rig, couriers, "h1", receiver.url, disabled=True)
        rig.staff(ev.Change.UNLOCK)
        assert couriers.standing("h1").tried_at is None
        hooked(rig, couriers, "h1", receiver.url)
        eventually(lambda: len(receiver.events) == 2)
        rig.staff(ev.Change.HOOK, "h1", key="gone", gone=True)
        couriers.dropped("h1")
        assert rig.sql("SELECT count(*) FROM outbox WHERE kind = 'hook'") == [(0,)]
        assert rig.sql("SELECT count(*) FROM hook") == [(0,)]


def test_a_late_word_of_a_hook_that_is_gone_writes_nothing(tmp_path: Path) -> None:
    rig = Rig(tmp_path)
    rig.engine.inbox.tell(ev.HookReached(**rig.stamp(), hook="gone", site="", after=5))
    rig.step()
    assert rig.sql("SELECT count(*) FROM outbox") == [(0,)]
    rig.store.close()


def test_there_are_only_so_many_hooks(tmp_path: Path) -> None:
    rig = Rig(tmp_path)
    values: dict[str, Any] = {"url": "https://x.example/", "kinds": [], "sites": [], "disabled": False}
    for number in range(HOOKS_MAX):
        rig.staff(ev.Change.HOOK, f"h{number}", **values)
    rig.staff(ev.Change.HOOK, "h0", key="again", **values)
    with pytest.raises(Refused, match="hooks already"):
        rig.staff(ev.Change.HOOK, "one-more", **values)
    with pytest.raises(Refused, match="no site"):
        rig.staff(ev.Change.HOOK, "h0", key="elsewhere", **{**values, "sites": ["s9"]})
    rig.store.close()


# -- never into our house -----------------------------------------------------------------------------------------

INSIDE = [
    "10.0.0.1",
    "127.0.0.1",
    "127.9.9.9",
    "169.254.169.254",
    "172.16.0.1",
    "192.168.1.1",
    "100.64.0.1",
    "0.0.0.0",
    "224.0.0.1",
    "240.0.0.1",
    "255.255.255.255",
    "198.18.0.1",
    "::1",
    "::",
    "fe80::1",
    "fc00::1",
    "fd00:ec2::254",
    "ff02::1",
    "::ffff:10.0.0.1",
    "::ffff:169.254.169.254",
    "64:ff9b::a9fe:a9fe",
    "2002:a00:1::1",
    "2001:0:a00:1::1",
]


@pytest.mark.parametrize("address", INSIDE)
def test_an_address_inside_is_refused_as_it_stands_and_as_a_name_resolves(
    address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    host = f"[{address}]" if ":" in address else address
    with pytest.raises(BadTarget, match="inside"):
        target_of(f"https://{host}/", at_home=False)
    monkeypatch.setattr(
        socket, "getaddrinfo", lambda *a, **k: [(0, 0, 0, "", ("93.184.216.34", 443)), (0, 0, 0, "", (address, 443))]
    )
    with pytest.raises(BadTarget, match="inside"):
        resolved(target_of("https://half-inside.example/", at_home=False), at_home=False)


def test_an_address_outside_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    for address in ("93.184.216.34", "2606:2800:220:1::1"):
        monkeypatch.setattr(socket, "getaddrinfo", lambda *a, _to=address, **k: [(0, 0, 0, "", (_to, 443))])
        assert resolved(target_of("https://there.example/", at_home=False), at_home=False) == address


@pytest.mark.parametrize(
    ("url", "code"),
    [
        ("http://there.example/", "scheme"),
        ("ftp://there.example/", "scheme"),
        ("https://user@there.example/", "url"),
        ("https://user:word@there.example/", "url"),
        ("https:///nowhere", "url"),
        ("https://there.example/#part", "url"),
        ("https://there.example/a b", "url"),
        ("https://there.example/\r\nX: y", "url"),
        ("https://there.example:0/", "url"),
        ("https://there.example:99999/", "url"),
        ("https://[::1/", "url"),
        ("https://there.example/" + "x" * 600, "url"),
        ("https://充电.example/", "url"),
        ("not an address", "url"),
    ],
)
def test_what_is_no_plain_https_address_is_refused(url: str, code: str) -> None:
    with pytest.raises(BadTarget, match=code):
        target_of(url, at_home=False)


def test_at_home_only_this_machine_is_home() -> None:
    assert target_of("http://127.0.0.1:8080/x?y=1", at_home=True).path == "/x?y=1"
    for elsewhere, code in (("http://192.168.1.1/", "scheme"), ("https://192.168.1.1/", "inside")):
        with pytest.raises(BadTarget, match=code):
            target_of(elsewhere, at_home=True)


def test_a_name_that_resolves_anew_is_still_met_where_it_was_judged(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """DNS rebinding: what was judged is what is spoken to."""
    answers = iter(["127.0.0.1", "10.0.0.1"])
    port = int(receiver.url.rsplit(":", 1)[1].partition("/")[0])
    monkeypatch.setattr(socket, "getaddrinfo", lambda *a, **k: [(0, 0, 0, "", (next(answers), port))])
    met: list[Any] = []
    real = socket.create_connection
    monkeypatch.setattr(posting, "socket", _Sockets(met, real))
    assert post(f"http://localhost:{port}/", b"{}", {}, at_home=True) == 204
    assert met == [("127.0.0.1", port)]
    assert receiver.headers[0]["host"] == f"localhost:{port}"


class _Sockets:
    """The socket module, and a note of who was met; it connects to a literal address without asking DNS again."""

    def __init__(self, met: list[Any], real: Callable[..., socket.socket]) -> None:
        self._met = met

    def create_connection(self, address: Any, timeout: float) -> socket.socket:
        self._met.append(address)
        made = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        made.settimeout(timeout)
        made.connect(address)
        return made

    def __getattr__(self, name: str) -> Any:
        return getattr(socket, name)


def test_a_redirect_is_not_followed(receiver: Receiver) -> None:
    with receivers(302) as door:
        door.location = receiver.url
        assert post(door.url, b"{}", {}, at_home=True) == 302
    assert receiver.bodies == []


def test_a_receiver_that_answers_letter_by_letter_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(posting, "WHOLE_S", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=_drip, args=(server,), daemon=True)
        thread.start()
        sent = Postman(KEY, at_home=True).send(hook_of(f"http://127.0.0.1:{server.getsockname()[1]}/"), [])
        thread.join(5.0)
    assert (sent.status, sent.taken) == (0, False)


def _drip(server: socket.socket) -> None:
    connection, _ = server.accept()
    pause = threading.Event()
    with connection:
        try:
            for _ in range(1000):
                connection.sendall(b"H")
                pause.wait(0.01)
        except OSError:
            return


def hook_of(url: str) -> HookRow:
    return HookRow(id="h", url=url, kinds=[], sites=[], made_by="staff:o", at=1.0, disabled=False)


def test_a_signature_of_another_time_is_another_signature() -> None:
    assert signature("s", 1, b"x") != signature("s", 2, b"x")

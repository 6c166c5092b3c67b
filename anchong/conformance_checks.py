"""What a device must do to be of anchong/1, one check each, in the specification's order. A check raises Failed or
Skipped, or says what it measured."""

import json
import secrets
from collections.abc import Callable

import msgspec

from anchong import conformance_refusals as refusals
from anchong.conformance_bench import ANSWER_S, LEASE_S, Bench, Failed, Skipped, hello_of
from firmware_bridge.codecs import anchong1 as codec

Person = Callable[[str], bool]  # asked to do something; False: not done

EARLY_S = 0.3  # a lease may be counted in whole ticks, and the answer to the ON has been on its way
LATE_S = 1.0
LOAD_W = 5.0
REPORT_ON_S, REPORT_OFF_S = 10.0, 30.0
LIMIT_S = 5.0
LEASE_MAX_S_MIN = 120.0
BACK_S = 60.0


class Check(msgspec.Struct, frozen=True):
    name: str
    run: Callable[[Bench], str]
    slow: bool = False


def says_hello(bench: Bench) -> str:
    """Both are kept by the broker, for whoever comes later, as we do."""
    bench.until(lambda: len(bench.kept()) > 1 or None, ANSWER_S)
    if codec.Will in bench.kept():
        raise Failed("it is not connected: what the broker keeps of it is its will")
    if missing := {codec.Hello, codec.Online} - bench.kept():
        raise Failed(f"no retained {' and '.join(sorted(kind.__name__.lower() for kind in missing))}")
    hello = hello_of(bench)
    if hello.lease_max_s < LEASE_MAX_S_MIN:
        raise Failed(f"lease_max_s {hello.lease_max_s:g}, which must be {LEASE_MAX_S_MIN:.0f} at least")
    return f"{hello.model} {hello.firmware}, {hello.outlets} outlets"


def tells_all_when_asked(bench: Bench) -> str:
    bench.ask()
    bench.until(lambda: len(bench.states) == bench.outlets or None, ANSWER_S)
    if sorted(bench.states) != list(range(1, bench.outlets + 1)):
        raise Failed(f"states of outlets {sorted(bench.states)}, of {bench.outlets}")
    return ""


def obeys_a_bare_off(bench: Bench) -> str:
    bench.all_off()
    return ""


def obeys_an_on(bench: Bench) -> str:
    """Of one outlet, answered once."""
    order = bench.command(codec.ON)
    at_s = bench.obeyed(order)
    took_s = bench.switched(True, ANSWER_S) - at_s
    bench.run(0.5)
    if len(bench.acks(order)) != 1:
        raise Failed(f"answered {len(bench.acks(order))} times")
    state = bench.first()
    if not LEASE_S - ANSWER_S <= state.lease_left_s <= LEASE_S or state.n != order["n"]:
        raise Failed(f"lease_left_s {state.lease_left_s}, n {state.n} after {json.dumps(order)}")
    if others := [outlet for outlet, other in bench.states.items() if other.on and outlet != 1]:
        raise Failed(f"outlets {others} are on as well")
    return f"after {took_s:.2f} s"


def cuts_by_its_lease_whatever_is_doubled(bench: Bench) -> str:
    """The very same ON again, half-way: the same answer, and not a second more."""
    order = bench.command(codec.ON)
    at_s = bench.obeyed(order)
    bench.run(LEASE_S / 2)
    bench.send(order)
    took_s = _cut_after_s(bench, at_s, LEASE_S)
    answers = [(ack.ok, ack.why) for ack in bench.acks(order)]
    if answers != [(True, None)] * 2:
        raise Failed(f"answers to the same command twice: {answers}")
    return f"dark after {took_s:.2f} s"


def starts_its_lease_over_when_renewed(bench: Bench) -> str:
    bench.obeyed(bench.command(codec.ON))
    bench.run(LEASE_S * 0.6)
    took_s = _cut_after_s(bench, bench.obeyed(bench.command(codec.ON)), LEASE_S)
    return f"dark {took_s:.2f} s after the renewal"


def goes_off_at_once(bench: Bench) -> str:
    bench.obeyed(bench.command(codec.ON))
    at_s = bench.obeyed(bench.command(codec.OFF))
    took_s = bench.switched(False, ANSWER_S) - at_s
    if bench.first().off_by != "command":
        raise Failed(f"off_by {bench.first().off_by}")
    return f"after {took_s:.2f} s"


def goes_off_whatever_the_off_says(bench: Bench) -> str:
    """Of another start, with a number long gone, with no number at all."""
    for odd in ({"boot": secrets.token_hex(8)}, {"n": 1}, {"n": None, "boot": None}, {"n": "x"}, {"heard_up_s": 1e9}):
        bench.obeyed(bench.command(codec.ON))
        bench.obeyed(bench.command(codec.OFF) | odd)
        bench.switched(False, ANSWER_S)
    return ""


def ignores_what_it_does_not_know(bench: Bench) -> str:
    bench.obeyed(bench.command(codec.ON) | {"tomorrow": {"a": [1, None]}, "note": "x"})
    bench.switched(True, ANSWER_S)
    return ""


def keeps_its_settings(bench: Bench) -> str:
    lease_max_s = hello_of(bench).lease_max_s
    bench.obeyed(bench.command(codec.SET, lease_max_s=20))
    told = bench.until(lambda: _settings(bench, 20), ANSWER_S)
    if told is None:
        raise Failed("no settings with lease_max_s 20 after it was set")
    try:
        bench.refused(bench.command(codec.ON, lease_s=21))
    finally:
        bench.obeyed(bench.command(codec.SET, lease_max_s=lease_max_s))
    wrong = [name for name in ("power_up_off", "sees_power_when_off", "own_counter") if not getattr(told, name)]
    if wrong or not told.inputs_detached:
        raise Failed(f"says of itself that it can't be sold on: {wrong or ['inputs_detached']}")
    return ""


def measures_a_load(bench: Bench) -> str:
    at_s = bench.obeyed(bench.command(codec.ON))
    seen = bench.until(lambda: _load_w(bench) >= LOAD_W or None, ANSWER_S)
    if seen is None:
        bench.run(1.0)
        raise Skipped(f"nothing over {LOAD_W:.0f} W is plugged in") if _load_w(bench) < LOAD_W else Failed("seen late")
    return f"{_load_w(bench):.0f} W, {bench.wire.now_s() - at_s:.2f} s after the order"


def cuts_by_its_own_limit(bench: Bench) -> str:
    bench.obeyed(bench.command(codec.ON))
    bench.until(lambda: _load_w(bench) >= LOAD_W or None, ANSWER_S)
    load_w = _load_w(bench)
    if load_w < LOAD_W:
        raise Skipped(f"nothing over {LOAD_W:.0f} W is plugged in")
    at_s = bench.obeyed(bench.command(codec.ON, limit_w=max(1.0, load_w / 2), lease_s=LIMIT_S * 3))
    took_s = bench.switched(False, LIMIT_S + LATE_S) - at_s
    if bench.first().off_by != "overload":
        raise Failed(f"off_by {bench.first().off_by}")
    return f"after {took_s:.2f} s"


def reports_while_on(bench: Bench) -> str:
    lease_s = 2.5 * REPORT_ON_S
    bench.obeyed(bench.command(codec.ON, lease_s=lease_s))
    return _reports(bench, REPORT_ON_S, 2 * REPORT_ON_S)


def reports_while_off(bench: Bench) -> str:
    return _reports(bench, REPORT_OFF_S, 2 * REPORT_OFF_S)


def _reports(bench: Bench, every_s: float, for_s: float) -> str:
    begin_s = bench.wire.now_s()
    bench.run(for_s)
    times = [s.at_s for s in bench.said if s.kind == codec.STATE and s.message.outlet == 1 and s.at_s >= begin_s]
    longest_s = max(b - a for a, b in zip([begin_s, *times], [*times, bench.wire.now_s()], strict=True))
    if longest_s > every_s + LATE_S:
        raise Failed(f"silent for {longest_s:.1f} s")
    return f"{longest_s:.1f} s at most"


def leaves_a_will_and_refuses_what_the_broker_kept(bench: Bench) -> str:
    """Its connection is ended by another of its client id; the ON that it finds at its return is right but for that."""
    order = bench.command(codec.ON, lease_s=20)
    before = len(bench.said)
    if why := bench.wire.kick(json.dumps(order).encode()):
        raise Skipped(why)
    if bench.until(lambda: _online(bench, before, codec.Online), BACK_S) is None:
        raise Failed(f"not back after {BACK_S:.0f} s")
    bench.run(ANSWER_S)
    if _online(bench, before, codec.Will) is None:
        raise Failed("no will was published")
    if not any(one.kind == codec.HELLO for one in bench.said[before:]):
        raise Failed("back without a hello")
    if any(one.kind == codec.STATE and one.message.on for one in bench.said[before:]):
        raise Failed("on by a retained command")
    return ""


def is_off_after_the_mains(bench: Bench, person: Person) -> str:
    boot, starts = bench.boot, bench.starts
    bench.obeyed(bench.command(codec.ON, lease_s=min(120.0, hello_of(bench).lease_max_s)))
    bench.may_start = True
    if not person("Pull the device's own plug, count to five, and plug it in again."):
        raise Skipped("nobody to cut its mains")
    if bench.until(lambda: bench.starts > starts or None, BACK_S) is None:
        raise Failed("no new boot id")
    bench.until(lambda: 1 in bench.states or None, ANSWER_S)
    if 1 not in bench.states or bench.first().on or bench.first().off_by != "boot":
        raise Failed(f"after its start: {bench.states.get(1)}")
    bench.refused(bench.command(codec.ON, boot=boot))
    return ""


def _settings(bench: Bench, lease_max_s: float) -> codec.Settings | None:
    told = [one.message for one in bench.said if one.kind == codec.SETTINGS and one.message.outlet == 1]
    return told[-1] if told and told[-1].lease_max_s == lease_max_s else None


def _load_w(bench: Bench) -> float:
    state = bench.states.get(1)
    return 0.0 if state is None or not state.on else state.power_w or 0.0


def _online(bench: Bench, since: int, kind: type) -> bool | None:
    return True if any(isinstance(one.message, kind) for one in bench.said[since:]) else None


def _cut_after_s(bench: Bench, at_s: float, lease_s: float) -> float:
    """Asked all the while, which must not lengthen it either."""
    while bench.wire.now_s() < at_s + lease_s + LATE_S and bench.first().on:
        bench.ask()
        bench.until(lambda: None if bench.first().on else True, 0.5)
    took_s = bench.wire.now_s() - at_s
    if bench.first().on:
        raise Failed(f"still on {took_s:.1f} s after an on for {lease_s:.0f} s")
    if took_s < lease_s - EARLY_S:
        raise Failed(f"dark {took_s:.1f} s after an on for {lease_s:.0f} s")
    if bench.first().off_by != "lease":
        raise Failed(f"off_by {bench.first().off_by}")
    return took_s


CHECKS = (
    Check("says hello, and that it is there", says_hello),
    Check("tells all when asked", tells_all_when_asked),
    Check("obeys a bare off", obeys_a_bare_off),
    Check("refuses an on without a lease", refusals.refuses_an_on_without_a_lease),
    Check("refuses leases that are none", refusals.refuses_leases_that_are_none),
    Check("refuses what misses a field", refusals.refuses_what_misses_a_field),
    Check("refuses an outlet that it has not", refusals.refuses_an_outlet_that_it_has_not),
    Check("refuses what is meant for another start", refusals.refuses_another_start),
    Check("obeys an on, and answers once", obeys_an_on),
    Check("cuts by its lease, whatever is doubled", cuts_by_its_lease_whatever_is_doubled),
    Check("starts its lease over when renewed", starts_its_lease_over_when_renewed),
    Check("goes off at once", goes_off_at_once),
    Check("goes off whatever the off says", goes_off_whatever_the_off_says),
    Check("does not obey a replayed on", refusals.does_not_obey_a_replayed_on),
    Check("refuses an on that an off has overtaken", refusals.refuses_an_on_that_an_off_has_overtaken),
    Check("survives garbage", refusals.survives_garbage),
    Check("ignores what it does not know", ignores_what_it_does_not_know),
    Check("keeps its settings", keeps_its_settings),
    Check("measures a load within a second", measures_a_load),
    Check("cuts by its own limit", cuts_by_its_own_limit),
    Check("reports every 10 s while on", reports_while_on, slow=True),
    Check("reports every 30 s while off", reports_while_off, slow=True),
    Check("refuses what is stale", refusals.refuses_what_is_stale),
    Check("leaves a will, and refuses what the broker kept", leaves_a_will_and_refuses_what_the_broker_kept),
)
AFTER_THE_MAINS = "is off after the mains, and takes no command of before"  # needs a person
AT_THE_END = {
    "every message is of the form": "form",
    "messages are numbered": "numbers",
    "does not restart by itself": "starts",
    "the counter only rises": "counter",
}

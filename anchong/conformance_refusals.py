"""What a device of anchong/1 must refuse, one check each: whatever is not right, old, or meant for another."""

import secrets

from anchong.conformance_bench import ANSWER_S, Bench, Failed, Skipped, hello_of
from firmware_bridge.codecs import anchong1 as codec

GARBAGE = (
    b"",
    b"\x00\xff\xfe",
    b"{",
    b"[]",
    b'"on"',
    b"null",
    b"{}",
    b'{"do":7,"id":{}}',
    b'{"do":"on"}',
    b'{"do":"explode","id":"x1"}',
    b'{"do":"on","id":"x2","lease_s":NaN}',
    b'{"do":"on","id":"x3","outlet":1,"n":1e400}',
    b"[" * 300,
    b'{"do":"on","id":"x4","pad":"' + b"x" * 4000 + b'"}',
)


def refuses_an_on_without_a_lease(bench: Bench) -> str:
    return bench.refused(bench.command(codec.ON, lease_s=None))


def refuses_leases_that_are_none(bench: Bench) -> str:
    for lease_s in (0, -5, "120", True, [5], 0.01, 1e9, hello_of(bench).lease_max_s + 1):
        bench.refused(bench.command(codec.ON, lease_s=lease_s))
    return ""


def refuses_what_misses_a_field(bench: Bench) -> str:
    for field in ("outlet", "boot", "n", "heard_up_s"):
        whole = bench.command(codec.ON)
        del whole[field]
        bench.refused(whole)
    return ""


def refuses_an_outlet_that_it_has_not(bench: Bench) -> str:
    for outlet in (0, -1, bench.outlets + 1, "1"):
        bench.refused(bench.command(codec.ON, outlet=outlet))
    return ""


def refuses_another_start(bench: Bench) -> str:
    return bench.refused(bench.command(codec.ON, boot=secrets.token_hex(8)))


def refuses_what_is_stale(bench: Bench) -> str:
    up_s = float(str(bench.command(codec.ON)["heard_up_s"]))
    bench.refused(bench.command(codec.ON, heard_up_s=up_s + 1_000))
    if up_s <= codec.FRESH_S + 1:
        raise Skipped(f"it has run for {up_s:.0f} s: nothing can be {codec.FRESH_S:.0f} s old yet")
    return bench.refused(bench.command(codec.ON, heard_up_s=up_s - codec.FRESH_S - 1))


def does_not_obey_a_replayed_on(bench: Bench) -> str:
    order = bench.command(codec.ON)
    bench.obeyed(order)
    bench.obeyed(bench.command(codec.OFF))
    bench.send(order)
    bench.run(ANSWER_S)
    if bench.first().on:
        raise Failed("on by the same command again, after an off")
    return bench.refused(order | {"id": secrets.token_hex(6)})


def refuses_an_on_that_an_off_has_overtaken(bench: Bench) -> str:
    late = bench.command(codec.ON)
    bench.obeyed(bench.command(codec.OFF))
    return bench.refused(late)


def survives_garbage(bench: Bench) -> str:
    starts = bench.starts
    for payload in GARBAGE:
        bench.wire.say(payload)
        bench.run(0.1)
    bench.ask()
    if bench.starts != starts:
        raise Failed("it has restarted")
    if any(state.on for state in bench.states.values()):
        raise Failed("something of it has switched an outlet on")
    return f"{len(GARBAGE)} kinds of it"

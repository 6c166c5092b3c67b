"""When each phase of a session must be looked at again, by nothing but the passing of time. Pure."""

from collections.abc import Callable

from controller.core.state import Phase, Rules, Session, Why


def next_deadline(session: Session, rules: Rules) -> float | None:
    """When (steady) DeadlinePassed is due; None for a settled session."""
    return _DEADLINES[session.phase](session, rules)


def patience_s(session: Session, rules: Rules) -> float:
    """How long it may wait for power; after an interruption no longer than one bike can be trusted to stand there.

    That counts from its last power: before it came into the line a restart of ours may have taken its time.
    """
    if session.started_at is None:
        return rules.queue_max_s
    last_s = session.since_s if session.renewed_s is None else min(session.renewed_s, session.since_s)
    return max(0.0, rules.resume_max_s - (session.since_s - last_s))


def is_dark(session: Session) -> bool:
    """Suspended with its outlet off, by our will; away is not."""
    return session.phase is Phase.SUSPENDED and session.pause is not None and session.pause.why is not Why.AWAY


def waits_s(why: Why, rules: Rules) -> float:
    """How long a pause of this kind may last, from its doubt on."""
    return _WAITS[why](rules)


_WAITS: dict[Why, Callable[[Rules], float]] = {
    Why.AWAY: lambda rules: rules.silent_s,
    Why.MAINS: lambda rules: rules.resume_max_s,
    Why.PLUG: lambda rules: rules.plug_answer_s,
    Why.EMPTY: lambda rules: max(0.0, rules.removal_window_s - rules.removal_s),
    Why.PROBE: lambda rules: rules.probe_wait_s,
}


def doubted_s(session: Session) -> float:
    """Since when (steady) the pause counts: without mains from its last power, a probe from its own OFF."""
    since_s = session.since_s if session.pause is None else session.pause.since_s
    if session.pause is not None and session.pause.why is Why.PROBE:
        return session.since_s
    if session.pause is not None and session.pause.why is Why.MAINS and session.renewed_s is not None:
        return min(since_s, session.renewed_s)
    return since_s


def load_wait_s(session: Session, rules: Rules) -> float:
    """How long an outlet that is on may draw nothing: less where it is only looked whether somebody is there."""
    pause = session.pause
    looked = pause is not None and pause.why in (Why.PROBE, Why.EMPTY) and "mine" not in pause.evidence
    return rules.probe_s if looked else rules.never_plugged_s


def _suspended_due(session: Session, rules: Rules) -> float:
    if not is_dark(session) or session.pause is None:
        return session.since_s + rules.silent_s
    over_s = doubted_s(session) + waits_s(session.pause.why, rules)
    if session.proof is not None:
        return over_s
    again_s = (session.off_sent_s or session.since_s) + rules.off_repeat_s
    proof_s = (session.off_s or session.since_s) + rules.proof_s
    return min(again_s, proof_s) if session.pause.why is Why.PROBE else min(over_s, again_s, proof_s)


def _opening_due(session: Session, rules: Rules) -> float:
    if session.confirmed_s is None:
        return (session.on_s or session.since_s) + rules.on_confirm_s
    waited = max(session.confirmed_s, session.since_s) + load_wait_s(session, rules)
    return min(waited, (session.renewed_s or session.since_s) + session.lease_s / 3)


def _charging_due(session: Session, rules: Rules) -> float:
    return min(session.opened_s + session.max_s, (session.renewed_s or session.since_s) + session.lease_s / 3)


def _closing_due(session: Session, rules: Rules) -> float:
    again = (session.off_sent_s or session.since_s) + rules.off_repeat_s
    return min(again, (session.off_s or session.since_s) + rules.proof_s)


_DEADLINES: dict[Phase, Callable[[Session, Rules], float | None]] = {
    Phase.QUEUED: lambda session, rules: session.since_s + patience_s(session, rules),
    Phase.OPENING: _opening_due,
    Phase.CHARGING: _charging_due,
    Phase.SUSPENDED: _suspended_due,
    Phase.CLOSING: _closing_due,
    Phase.SETTLED: lambda session, rules: None,
}

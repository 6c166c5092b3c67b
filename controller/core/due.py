"""When each phase of a session must be looked at again, by nothing but the passing of time. Pure."""

from collections.abc import Callable

from controller.core.state import Phase, Rules, Session


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


def _opening_due(session: Session, rules: Rules) -> float:
    if session.confirmed_s is None:
        return (session.on_s or session.since_s) + rules.on_confirm_s
    waited = max(session.confirmed_s, session.since_s) + rules.never_plugged_s
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
    Phase.SUSPENDED: lambda session, rules: session.since_s + rules.silent_s,
    Phase.CLOSING: _closing_due,
    Phase.SETTLED: lambda session, rules: None,
}

"""How an outlet was or is being proven, for its page: the programme as a list, what to do now, the record."""

from typing import Any, Final

from api.pages.console.desk import Desk
from api.pages.console.story import evidence_of, person
from controller.core.programme import Step, steps_of
from controller.records import OutletDetail
from controller.views import View

RESULTS: Final = {
    Step.OBEY_ON: "load_w",
    Step.OBEY_OFF: "off_after_s",
    Step.LEASE: "lease_s",
    Step.REARM: "rearmed_s",
    Step.POWER_CUT: "away_s",
}


def proving(desk: Desk, row: OutletDetail, view: View) -> dict[str, Any]:
    """For `console/commissioning.html`."""
    proof, failure = row.proof, view.failure or row.failure
    counts = row.commissioned_at is not None and view.proving_step is None
    return {
        "steps": _steps(desk, row, view),
        "now": view.proving_step is not None,
        "failed": "" if view.proving_step or not view.failed else desk.failed(view.failed),
        "failed_with": [] if failure is None else _told(desk, failure.evidence),
        "failed_when": "" if failure is None else desk.when(failure.at, row.zone),
        "counts": desk.when(row.commissioned_at, row.zone) if counts else "",
        "proof": [] if proof is None else _told(desk, _proof(desk, row)),
        "record": evidence_of(desk, row.record, len(row.record)),
    }


def _told(desk: Desk, evidence: dict[str, float | str]) -> list[tuple[str, str]]:
    return [(name, value) for name, value in evidence_of(desk, evidence) if value]


def _proof(desk: Desk, row: OutletDetail) -> dict[str, float | str]:
    proof = row.proof
    if proof is None:
        return {}
    return {
        "proven_when": desk.when(proof.at, row.zone),
        "proven_by": person(desk, proof.by) if proof.by else "",
        "proven_firmware": proof.firmware,
        "proven_model": proof.model,
        "cut_by": desk.or_plain(f"cut_by.{proof.cut_by}", proof.cut_by),
    }


def _steps(desk: Desk, row: OutletDetail, view: View) -> list[dict[str, str]]:
    """Where the programme stands: done, now, failed, or still to come."""
    failure = view.failure or row.failure
    at = view.proving_step or (failure.step if failure is not None else "")
    known = view.proving_steps or (failure.steps if failure is not None else ())
    steps = tuple(Step(step) for step in known) or steps_of(row.record)
    place = steps.index(Step(at)) if at in steps else -1
    measured: dict[str, Any] = row.record if place < 0 else view.proving_measured or _of(failure)
    states = [_state(number, place, view, row) for number in range(len(steps))]
    return [_step(desk, step, state, measured, view) for step, state in zip(steps, states, strict=True)]


def _of(failure: Any) -> dict[str, Any]:
    return {} if failure is None else dict(failure.evidence)


def _state(number: int, place: int, view: View, row: OutletDetail) -> str:
    if place < 0:
        return "done" if row.commissioned_at is not None else "todo"
    if number == place:
        return "now" if view.proving_step else "failed"
    return "done" if number < place else "todo"


def _step(desk: Desk, step: Step, state: str, measured: dict[str, Any], view: View) -> dict[str, str]:
    value = measured.get(RESULTS.get(step, "")) if state == "done" else None
    result = "" if not isinstance(value, int | float) else _result(desk, step, value)
    todo = desk.t(f"todo.{view.proving_todo}") if state == "now" and view.proving_todo else ""
    return {
        "name": step,
        "state": state,
        "result": result or (desk.t("step.now") if state == "now" else ""),
        "todo": todo,
    }


def _result(desk: Desk, step: Step, measured: float) -> str:
    return desk.power(measured) if RESULTS[step].endswith("_w") else desk.t("seconds", s=f"{measured:.1f}")

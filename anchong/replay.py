"""`anchong replay`: recorded power curves through the real finish and danger decisions, on a virtual clock."""

import csv
import json
from collections.abc import Iterator, Sequence
from enum import StrEnum
from itertools import chain
from math import isfinite
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from api.curve import svg
from controller.core import danger, finish, tariff
from controller.core.danger import DangerRules, DangerState
from controller.core.errors import Refused
from controller.core.finish import FinishRules, FinishState, Verdict, check
from controller.core.finish_level import low_w
from controller.core.reasons import StopReason

HOLD_FOR_S = 12 * 3600.0  # longer than any session may last
TICK_S = 10.0  # how often a device is asked for a reading
MAX_VALUE = 1e9  # beyond it no column of ours means anything
MAX_POWER_W = 100_000.0  # thirty times the largest outlet
COLUMNS = ("t_s", "power_w", "energy_wh", "voltage_v", "current_a", "temperature_c")
NEEDED = 2  # of these, the first two
NOT_CUT = "still on at the end"


class AfterEnd(StrEnum):
    """What happens when the recording is over: the last value goes on, or time stops."""

    HOLD = "hold"
    STOP = "stop"


class Row(msgspec.Struct, frozen=True):
    """`t_s` since the outlet went on; `energy_wh` is a cumulative counter, if there is one."""

    t_s: float
    power_w: float
    energy_wh: float | None = None


class Rules(msgspec.Struct, frozen=True):
    finish: FinishRules = FinishRules()
    danger: DangerRules = DangerRules()


class Limits(msgspec.Struct, frozen=True):
    max_s: float | None = None
    max_wh: float | None = None


class Result(msgspec.Struct, frozen=True):
    """`cut_at_s` and `reason` are None when the curve ended with the outlet still on."""

    cut_at_s: float | None
    reason: StopReason | None
    energy_wh: float
    peak_w: float
    evidence: dict[str, float]
    rule: str = ""


class _Charge(msgspec.Struct, frozen=True):
    """What is known of the charge so far."""

    finish: FinishState
    danger: DangerState
    meter: tariff.Meter
    last: Row
    peak_w: float


def replay(
    files: Annotated[list[Path], typer.Argument(help="CSV files with the columns t_s,power_w[,energy_wh,...].")],
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a file.")] = False,
    max_s: Annotated[float | None, typer.Option(min=1, help="Also cut after so many seconds.")] = None,
    max_wh: Annotated[float | None, typer.Option(min=1, help="Also cut after so many Wh.")] = None,
    after_end: Annotated[AfterEnd, typer.Option(help="After the last row: its value goes on for 12 h, or stop.")] = (
        AfterEnd.HOLD
    ),
    rules: Annotated[
        Path | None, typer.Option(help="Judge by these settings: finish rules as JSON, or session.json of a pack.")
    ] = None,
    plot: Annotated[Path | None, typer.Option(help="Draw the curve and the cut as SVG; for one file.")] = None,
) -> None:
    """Run recorded power curves through the real finish and danger decisions.

    t_s = 0 is the moment the outlet went on. Judged is the power over time; what voltage and current show is not.

    Example: anchong replay night.csv --json --plot night.svg
    """
    try:
        if plot and len(files) > 1:
            raise Refused("replay_plot", "--plot draws one curve: give one file.")
        if not all(isfinite(limit) for limit in (max_s, max_wh) if limit is not None):
            raise Refused("replay_limit", "--max-s and --max-wh are plain numbers.")
        by = Rules() if rules is None else read_rules(rules)
        for file in files:
            curve = read_curve(file)
            result = run(curve, by, Limits(max_s, max_wh), after_end)
            typer.echo(as_line(file, result) if as_json else as_sentence(file, result, after_end))
            if plot:
                _write(plot, drawing(curve, result, file.name, by.finish))
    except Refused as refusal:
        typer.echo(f"anchong replay: {refusal.detail}", err=True)
        raise typer.Exit(2) from refusal


def run(curve: Sequence[Row], rules: Rules, limits: Limits, after_end: AfterEnd = AfterEnd.HOLD) -> Result:
    """Decided only from what was known at each moment; the outlet is on from 0 s."""
    start = Row(0.0, curve[0].power_w)
    charge = _Charge(finish.begin(0.0), danger.begin(0.0), tariff.Meter(), start, 0.0)
    for row in chain(curve, _held(curve) if after_end is AfterEnd.HOLD else ()):
        if limits.max_s is not None and row.t_s >= limits.max_s:
            charge = _metered(charge, Row(limits.max_s, charge.last.power_w))
            evidence = {"elapsed_s": limits.max_s, "power_w": charge.last.power_w}
            return _result(charge, Verdict(StopReason.TIME_LIMIT, evidence))
        charge, verdict = _observed(_metered(charge, row), row, rules)
        verdict = verdict or _energy_limit(charge, limits)
        if verdict:
            return _result(charge, verdict)
    return _result(charge, None)


# -- one charge ---------------------------------------------------------------------------------------------------


def _held(curve: Sequence[Row]) -> Iterator[Row]:
    """The last value, said again and again."""
    last = curve[-1]
    for tick in range(1, int(HOLD_FOR_S / TICK_S) + 1):
        added_wh = max(0.0, last.power_w) * tick * TICK_S / 3600
        counter_wh = None if last.energy_wh is None else last.energy_wh + added_wh
        yield Row(last.t_s + tick * TICK_S, last.power_w, counter_wh)


def _metered(charge: _Charge, row: Row) -> _Charge:
    """By the meter's counter where it has one, else by its power."""
    last, meter = charge.last, charge.meter
    if row.energy_wh is not None or meter.counter_wh is not None:
        meter, _ = tariff.metered(meter, row.energy_wh, "")
    else:
        added_wh = max(0.0, last.power_w + row.power_w) / 2 * (row.t_s - last.t_s) / 3600
        meter = msgspec.structs.replace(meter, used_wh=meter.used_wh + added_wh)
    return msgspec.structs.replace(charge, meter=meter, last=row, peak_w=max(charge.peak_w, row.power_w))


def _observed(charge: _Charge, row: Row, rules: Rules) -> tuple[_Charge, Verdict | None]:
    finished, full = finish.observe(charge.finish, row.t_s, row.power_w, rules.finish)
    dangerous, never = danger.observe(charge.danger, row.t_s, row.power_w, rules.danger)
    return msgspec.structs.replace(charge, finish=finished, danger=dangerous), full or never


def _energy_limit(charge: _Charge, limits: Limits) -> Verdict | None:
    used_wh = charge.meter.used_wh
    if limits.max_wh is None or used_wh < limits.max_wh:
        return None
    return Verdict(StopReason.ENERGY_LIMIT, {"energy_wh": round(used_wh, 2), "max_wh": limits.max_wh})


def _result(charge: _Charge, verdict: Verdict | None) -> Result:
    return Result(
        cut_at_s=charge.last.t_s if verdict else None,
        reason=verdict.reason if verdict else None,
        energy_wh=round(charge.meter.used_wh, 3),
        peak_w=charge.peak_w,
        evidence=verdict.evidence if verdict else {},
        rule=verdict.rule if verdict else "",
    )


# -- what is said -------------------------------------------------------------------------------------------------


def as_line(file: Path, result: Result) -> str:
    told = {name: value for name, value in msgspec.to_builtins(result).items() if name != "rule"}  # as agreed
    return msgspec.json.encode({"file": str(file), **told}).decode()


def as_sentence(file: Path, result: Result, after_end: AfterEnd) -> str:
    end = f"{_word(result.reason)} after {_clock(result.cut_at_s or 0.0)} h" if result.reason else NOT_CUT
    if result.reason is None and after_end is AfterEnd.HOLD:
        end = "still on 12 h after its last row, whose power is taken to go on"
    return f"{file}: {end}, {result.energy_wh:.1f} Wh, at most {result.peak_w:.0f} W"


def drawing(curve: Sequence[Row], result: Result, title: str, rules: FinishRules) -> str:
    points = [(row.t_s, row.power_w) for row in curve]
    levels = levels_of(result, rules)
    if result.cut_at_s is None or result.reason is None:
        return svg(points, width=960, height=360, levels=levels, title=f"{title}: {NOT_CUT}")
    if result.cut_at_s > points[-1][0]:
        points.append((result.cut_at_s, points[-1][1]))
    words = f"{_word(result.reason)} after {_clock(result.cut_at_s)} h{_rule(result)}"
    cut = (result.cut_at_s, words)
    return svg(points, width=960, height=360, cut=cut, levels=levels, title=f"{title}: {words}")


def levels_of(result: Result, rules: FinishRules) -> list[tuple[float, str]]:
    """The charge's own peak, as the detector took it, and the marks that are shares of it."""
    peak_w = result.evidence.get("peak_w", result.peak_w)
    if peak_w <= 0.0:
        return []
    modest_w, little_w = rules.modest * peak_w, low_w(peak_w, rules)
    return [
        (peak_w, f"peak {peak_w:.0f} W"),
        (modest_w, f"modest: {100 * rules.modest:.0f} %, {modest_w:.0f} W"),
        (little_w, f"low: {little_w:.1f} W"),
    ]


def _rule(result: Result) -> str:
    """The question that was answered yes, where its word says more than the reason."""
    return f" ({result.rule.replace('_', ' ')})" if result.rule else ""


def _word(reason: StopReason) -> str:
    return reason.value.replace("_", " ")


def _clock(seconds: float) -> str:
    return f"{int(seconds) // 3600}:{int(seconds) // 60 % 60:02d}"


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise Refused("replay_plot", f"{path} can not be written: {error.strerror}.") from error


def read_rules(file: Path) -> Rules:
    """The detector's settings of one session (`session.json` of its evidence), or a few of them as JSON."""
    try:
        raw = json.loads(file.read_text(encoding="utf-8"))
        found = raw["versions"]["finish_rules"] if "versions" in raw else raw
        rules = msgspec.convert(found, FinishRules)
        check(rules)
    except OSError as error:
        raise Refused("replay_rules", f"{file} can not be read: {error.strerror}.") from error
    except (ValueError, KeyError, TypeError, msgspec.ValidationError) as error:
        raise Refused("replay_rules", f"{file} holds no finish rules: {error}.") from error
    return Rules(rules)


# -- what is read -------------------------------------------------------------------------------------------------


def read_curve(file: Path) -> list[Row]:
    """Refuses, naming file and line, whatever is not a curve."""
    try:
        with file.open(encoding="utf-8-sig", newline="") as lines:
            return list(_rows(file, lines))
    except OSError as error:
        raise Refused("replay_file", f"{file} can not be read: {error.strerror}.") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise Refused("replay_csv", f"{file} is not a CSV file in UTF-8.") from error


def _rows(file: Path, lines: Iterator[str]) -> Iterator[Row]:
    reader = csv.reader(lines)
    places = _places(file, next(reader, []))
    last_s: float | None = None
    for cells in reader:
        if not any(cell.strip() for cell in cells):
            continue
        row = _row(f"{file}, line {reader.line_num}", places, cells)
        if row.t_s < (last_s or 0.0):
            raise Refused("replay_csv", f"{file}, line {reader.line_num}: t_s goes back to {row.t_s:g}.")
        last_s = row.t_s
        yield row
    if last_s is None:
        raise Refused("replay_csv", f"{file} has no rows.")


def _places(file: Path, header: Sequence[str]) -> dict[str, int]:
    names = [name.strip().lower() for name in header]
    for name in COLUMNS[:NEEDED]:
        if name not in names:
            raise Refused("replay_csv", f"{file} has no column {name}; its header must begin t_s,power_w.")
    return {name: names.index(name) for name in COLUMNS if name in names}


def _row(where: str, places: dict[str, int], cells: Sequence[str]) -> Row:
    values = {name: _number(where, name, cells[at] if at < len(cells) else "") for name, at in places.items()}
    t_s, power_w = values["t_s"], values["power_w"]
    if t_s is None or power_w is None:
        raise Refused("replay_csv", f"{where}: t_s and power_w are needed in every row.")
    if abs(power_w) > MAX_POWER_W:
        raise Refused("replay_csv", f"{where}: power_w is {power_w:g}, which no outlet can give.")
    return Row(t_s, power_w, values.get("energy_wh"))


def _number(where: str, name: str, cell: str) -> float | None:
    if not cell.strip():
        return None
    try:
        value = float(cell)
    except ValueError as error:
        raise Refused("replay_csv", f"{where}: {name} is not a number: {cell.strip()[:40]!r}.") from error
    if not isfinite(value) or abs(value) > MAX_VALUE:
        raise Refused("replay_csv", f"{where}: {name} is {cell.strip()[:40]}, which is no measured value.")
    return value

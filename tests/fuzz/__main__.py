"""`python -m tests.fuzz --for-s 600 [--codec NAME]`: fuzzes whatever reads what devices say, guided by coverage.

Prints what was tried and what was found; exit 1 if something was. `make fuzz` runs it.
"""

import argparse
import importlib.util
import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

from tests.fuzz.known import seeds, unreached
from tests.fuzz.targets import targets

INSTALL = (
    "atheris is not installed: pip install -r requirements/fuzz.txt\n"
    "There are wheels for CPython 3.11 to 3.13 on Linux x86_64; elsewhere it needs clang to build."
)
LONGEST = 600  # bytes of an input; the longest frame known is 1 KiB, and most of that is text
EXECUTED = re.compile(r"stat::number_of_executed_units:\s+(\d+)")
REACHED = re.compile(r"cov: (\d+) ft: (\d+)")


class Report(NamedTuple):
    target: str
    executions: int
    coverage: int
    finding: str  # empty: nothing


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--for-s", type=float, default=60.0, help="altogether, shared by what is fuzzed")
    parser.add_argument("--codec", action="append", default=[], help="only what has this in its name; again for more")
    parser.add_argument("--out", type=Path, default=None, help="where inputs are kept that found something")
    parser.add_argument("--json", action="store_true", dest="as_json")
    given = parser.parse_args(arguments)
    chosen = [name for name in targets() if not given.codec or any(part in name for part in given.codec)]
    if not chosen:
        print(f"--codec {given.codec[0]}: nothing is called so; one of: {', '.join(targets())}", file=sys.stderr)
        return 2
    if importlib.util.find_spec("atheris") is None:
        print(INSTALL, file=sys.stderr)
        return 2
    out = given.out or Path(tempfile.mkdtemp(prefix="anchong-fuzz-"))
    out.mkdir(parents=True, exist_ok=True)
    each_s = max(1, round(given.for_s / len(chosen)))
    reports = [_fuzzed(name, each_s, out, given.as_json) for name in chosen]
    _summary(reports, given.as_json)
    return 1 if any(report.finding for report in reports) else 0


def _fuzzed(name: str, for_s: int, out: Path, as_json: bool) -> Report:
    with tempfile.TemporaryDirectory() as corpus:
        for number, seed in enumerate(seeds(name)):
            (Path(corpus) / f"seed-{number}").write_bytes(seed)
        prefix = out / (name.replace(" ", "-").replace("/", "-") + "-")
        limits = [f"-max_total_time={for_s}", f"-max_len={LONGEST}", "-timeout=10", "-rss_limit_mb=1024"]
        command = [sys.executable, "-m", "tests.fuzz.child", name, corpus, *limits]
        done = subprocess.run(
            [*command, "-print_final_stats=1", f"-artifact_prefix={prefix}"],
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
        )
    report = _report(name, done, as_json)
    print(json.dumps(report._asdict()) if as_json else _line(report), flush=True)
    return report


def _report(name: str, done: "subprocess.CompletedProcess[str]", as_json: bool) -> Report:
    said = done.stdout + done.stderr
    executed = EXECUTED.findall(said)
    reached = REACHED.findall(said)
    finding = ""
    if done.returncode:
        told = [line for line in said.splitlines() if "Error" in line or "Exception" in line or "artifact" in line]
        finding = " · ".join(told[-3:]) or said[-300:]
    return Report(name, int(executed[-1]) if executed else 0, int(reached[-1][0]) if reached else 0, finding)


def _line(report: Report) -> str:
    verdict = f"FOUND {report.finding}" if report.finding else "nothing found"
    return f"{report.target:34} {report.executions:10,} executions, coverage {report.coverage:6,}: {verdict}"


def _summary(reports: list[Report], as_json: bool) -> None:
    total, found = sum(report.executions for report in reports), [report for report in reports if report.finding]
    said = {"executions": total, "targets": len(reports), "found": len(found), "unreached": unreached()}
    more = f"; without a capture, so not fuzzed: {', '.join(unreached())}" if unreached() else ""
    text = f"{total:,} executions of {len(reports)} targets, {len(found)} findings{more}"
    print(json.dumps(said) if as_json else text)


if __name__ == "__main__":
    sys.exit(main())

"""A subject's own process: a wish is a line of JSON on standard input, its answer a line on standard output.

It ends with its input.
"""

import sys
import threading
import tracemalloc
from pathlib import Path

import msgspec

from anchong.bench.subject import KINDS, Start, Subject, answer, keep_tally
from anchong.logs import plain
from simulators.tally import Tally


def main() -> None:
    plain("error")
    start = msgspec.json.decode(sys.stdin.readline(), type=Start)
    if start.traced:
        tracemalloc.start()
    subject: Subject = KINDS[start.kind](start)
    stopping = threading.Event()
    tally = Tally(Path(start.tally))
    threading.Thread(target=keep_tally, args=(subject, tally, stopping), daemon=True).start()
    print("{}", flush=True)
    for line in sys.stdin:
        print(msgspec.json.encode(answer(subject, msgspec.json.decode(line))).decode(), flush=True)
    stopping.set()
    subject.stop()


if __name__ == "__main__":
    main()

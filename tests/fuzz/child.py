"""One target under atheris: `python -m tests.fuzz.child NAME LIBFUZZER-ARGUMENTS`. Ends with libFuzzer's own code."""

import logging
import sys

import atheris

with atheris.instrument_imports(include=["firmware_bridge", "controller.core", "anchong.decode", "tests.fuzz.targets"]):
    from tests.fuzz import targets

import structlog


def main() -> None:
    name, *arguments = sys.argv[1:]
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    atheris.Setup([sys.argv[0], *arguments], targets.targets()[name])
    atheris.Fuzz()


if __name__ == "__main__":
    main()

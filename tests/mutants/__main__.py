"""`python -m tests.mutants NAME`: runs the world with one mistake patched in; exit 1 says that it was noticed."""

import argparse
import sys

from anchong.world import ran
from tests.mutants import catalogue, catalogue_doubts
from tests.mutants.form import MUTANTS

CATALOGUES = (catalogue, catalogue_doubts)  # each has put its own into MUTANTS


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.mutants", description=__doc__)
    parser.add_argument("name", nargs="?", choices=sorted(MUTANTS), metavar="NAME")
    parser.add_argument("--list", action="store_true", help="the names, with what each does")
    parser.add_argument("--seeds", help="A..B instead of the mutant's own")
    given = parser.parse_args()
    if given.list or given.name is None:
        for name, mutant in sorted(MUTANTS.items()):
            print(f"{name:32} {mutant.does}")
        return 0 if given.list else 2
    mutant = MUTANTS[given.name]
    seeds = mutant.seeds if given.seeds is None else _range(given.seeds)
    with mutant.patched():
        for seed in seeds:
            tally, _ = ran([seed], brief=True)
            if tally.violations:
                print("\n".join(tally.violations))
                return 1
    return 0


def _range(seeds: str) -> range:
    first, _, last = seeds.partition("..")
    return range(int(first), int(last or first) + 1)


if __name__ == "__main__":
    sys.exit(main())

"""Runs a program that ends when our standard input does, so that nothing outlives whoever asked for a figure."""

import os
import subprocess
import sys
import threading


def main(arguments: list[str]) -> int:
    child = subprocess.Popen(arguments, stdin=subprocess.DEVNULL)
    threading.Thread(target=_end_with_input, args=(child,), daemon=True).start()
    return child.wait()


def _end_with_input(child: "subprocess.Popen[bytes]") -> None:
    while os.read(0, 4096):
        pass
    child.kill()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

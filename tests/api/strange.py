"""A bus with a scan that never gets on, and devices that show what a test says."""

from collections.abc import Sequence

from controller.ports import Oddity, Peeked, Scanned


class FakeStrangers:
    def __init__(self) -> None:
        self.scans: dict[str, Scanned] = {}
        self.begun: list[str] = []
        self.shown: dict[str, list[Peeked]] = {}
        self.looked: list[str] = []
        self.scan("shed-1")

    def buses(self) -> list[str]:
        return ["shed-1", "shed-2"]

    def scan(self, bus: str) -> bool:
        if bus not in self.buses() or bus in self.scans:
            return False
        self.begun.append(bus)
        found, odd = [f"pzem-004t:{bus}/modbus:11"], [Oddity(f"{bus}/modbus:7", "crc")]
        self.scans[bus] = Scanned(bus=bus, asked=12, total=1400, done=False, found=found, odd=odd)
        return True

    def scanned(self, bus: str) -> Scanned | None:
        return self.scans.get(bus)

    def peek(self, found: str) -> Sequence[Peeked]:
        self.looked.append(found)
        return self.shown.get(found, [])

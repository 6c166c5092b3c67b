"""How long things take on a serial line: its settings as times. Pure."""

import msgspec

DLT645_GAP_S = 0.02  # a meter need not listen sooner after its answer
DLT645_TURNAROUND_S = 0.5  # what its standard allows it
_FAST_BAUD, _FAST_GAP_S = 19_200, 0.00175  # above it the silence of Modbus no longer shrinks


class Pace(msgspec.Struct, frozen=True):
    """Of one line; all that hangs on it speaks at the same settings."""

    baud: int = 9600
    parity: str = "N"
    stop_bits: int = 1
    turnaround_s: float = 0.2  # until a unit has begun to answer; adapters on a network need more
    back_off_s: float = 1.0  # a unit that has failed three times is left alone for so long, then ever longer

    @property
    def byte_s(self) -> float:
        return (9 + (self.parity != "N") + self.stop_bits) / self.baud

    def sent_s(self, size: int) -> float:
        return size * self.byte_s

    def gap_s(self, protocol: str) -> float:
        """Silence that ends a frame and must precede the next: t3.5 by eleven bits a byte."""
        gap_s = _FAST_GAP_S if self.baud > _FAST_BAUD else 3.5 * 11 / self.baud
        return max(gap_s, DLT645_GAP_S) if protocol == "dlt645" else gap_s

    def answer_within_s(self, protocol: str, request: int, reply: int) -> float:
        """From the first byte of a request to the last of its answer; bytes in, seconds out."""
        turnaround_s = max(self.turnaround_s, DLT645_TURNAROUND_S) if protocol == "dlt645" else self.turnaround_s
        return self.sent_s(request) + turnaround_s + self.sent_s(reply)

"""How the sandbox provider signs what it sends and checks what it gets; shares no code with the verifier under test."""

import hashlib
import hmac
from collections.abc import Mapping

import msgspec

from controller.core.errors import BadFrame
from simulators.provider_books import Notice, short_id

TOLERANCE_S = 300.0
MAX_NONCES = 100_000  # at most what arrives within the tolerance; older ones fail by their stamp anyway


class Signed(msgspec.Struct, frozen=True):
    timestamp: str
    nonce: str
    key_id: str
    signature: str


def sign(key: bytes, timestamp: str, nonce: str, raw: bytes, *before: str) -> str:
    """HMAC-SHA256 over lines, the raw body last; requests put their method and path `before` the rest."""
    head = "".join(f"{line}\n" for line in (*before, timestamp, nonce))
    return hmac.new(key, head.encode() + raw + b"\n", hashlib.sha256).hexdigest()


def webhook_headers(notice: Notice, key_id: str, key: bytes, at: float) -> dict[str, str]:
    """Fresh for every try: a verifier must refuse an old stamp."""
    timestamp, nonce = str(int(at)), short_id("", f"{notice.event_id}:{notice.tries}:{at}")
    signature = "SANDBOX/SIGNTEST/" + "0" * 47 if notice.probe else sign(key, timestamp, nonce, notice.body)
    return {
        "X-Sandbox-Timestamp": timestamp,
        "X-Sandbox-Nonce": nonce,
        "X-Sandbox-Key-Id": key_id,
        "X-Sandbox-Signature": signature,
    }


class RequestCheck:
    """Knows one merchant's key and which nonces it has seen."""

    def __init__(self, key_id: str, key: bytes) -> None:
        self._key_id = key_id
        self._key = key
        self._seen: dict[str, float] = {}

    def check(self, headers: Mapping[str, str], method: str, path: str, raw: bytes, at: float) -> None:
        signed = _signed(headers)
        if not signed.timestamp.isdecimal() or abs(at - int(signed.timestamp[:12])) > TOLERANCE_S:
            raise BadFrame("stale")
        good = sign(self._key, signed.timestamp, signed.nonce, raw, method, path)
        if signed.key_id != self._key_id or not hmac.compare_digest(good.encode(), signed.signature.encode()):
            raise BadFrame("signature")
        self._once(signed.nonce, at)

    def _once(self, nonce: str, at: float) -> None:
        if at - self._seen.get(nonce, float("-inf")) <= 2 * TOLERANCE_S:
            raise BadFrame("signature", "this nonce was used before")
        self._seen[nonce] = at
        if len(self._seen) > MAX_NONCES:
            del self._seen[next(iter(self._seen))]


def _signed(headers: Mapping[str, str]) -> Signed:
    names = ("X-Sandbox-Timestamp", "X-Sandbox-Nonce", "X-Sandbox-Key-Id", "X-Sandbox-Signature")
    values = [headers.get(name, "") for name in names]
    if not all(values) or any(len(value) > 128 for value in values):
        raise BadFrame("signature", "unsigned")
    return Signed(*values)

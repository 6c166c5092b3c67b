"""A mail server of our own on this machine: enough SMTP to take, delay or refuse letters, with TLS or without."""

import email
import email.policy
import socketserver
import ssl
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from email.message import EmailMessage
from pathlib import Path

from tests.house import needs


class PostOffice(socketserver.ThreadingTCPServer):
    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, certificate: Path | None = None) -> None:
        super().__init__(("127.0.0.1", 0), _Counter)
        self.letters: list[EmailMessage] = []
        self.to: list[str] = []
        self.words: list[str] = []  # commands as they came, in clear or not
        self.clear: list[str] = []  # those that came in clear
        self.refuse_rcpt = ""
        self.refuse_data = ""
        self.tls: ssl.SSLContext | None = None
        if certificate is not None:
            self.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self.tls.load_cert_chain(certificate, certificate.with_name("key.pem"))

    @property
    def port(self) -> int:
        return int(self.server_address[1])


class _Counter(socketserver.StreamRequestHandler):
    """One connection."""

    server: PostOffice

    def handle(self) -> None:
        self.safe = False
        self._say("220 here")
        while line := self.rfile.readline().decode().strip():
            self.server.words.append(line)
            if not self.safe:
                self.server.clear.append(line)
            if not self._answer(line.partition(" ")[0].upper(), line):
                return

    def finish(self) -> None:
        super().finish()
        if self.safe:
            self.request.close()

    def _answer(self, word: str, line: str) -> bool:
        if word in ("EHLO", "HELO"):
            offered = ["250-here", *(["250-STARTTLS"] if self.server.tls and not self.safe else []), "250-AUTH PLAIN"]
            self._say("\r\n".join([*offered, "250 OK"]))
        elif word == "STARTTLS" and self.server.tls is not None:
            self._say("220 go on")
            self.request = self.server.tls.wrap_socket(self.request, server_side=True)
            self.rfile, self.wfile = self.request.makefile("rb"), self.request.makefile("wb", buffering=0)
            self.safe = True
        elif word == "AUTH":
            self._say("235 known")
        elif word == "RCPT":
            self.server.to.append(line)
            self._say(self.server.refuse_rcpt or "250 OK")
        elif word == "DATA":
            self._take()
        elif word == "QUIT":
            self._say("221 bye")
            return False
        else:
            self._say("250 OK")
        return True

    def _take(self) -> None:
        self._say("354 go on")
        lines = []
        while (line := self.rfile.readline()) not in (b".\r\n", b""):
            lines.append(line)
        if self.server.refuse_data:
            self._say(self.server.refuse_data)
            return
        letter = email.message_from_bytes(b"".join(lines), policy=email.policy.default)
        self.server.letters.append(letter)
        self._say("250 taken")

    def _say(self, text: str) -> None:
        self.wfile.write(f"{text}\r\n".encode())


@contextmanager
def opened(certificate: Path | None = None) -> Iterator[PostOffice]:
    with PostOffice(certificate) as office:
        thread = threading.Thread(target=office.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        try:
            yield office
        finally:
            office.shutdown()
            thread.join(5)


def certified(folder: Path) -> Path:
    """A certificate for 127.0.0.1, its key beside it."""
    certificate = folder / "certificate.pem"
    made = ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "1"]
    named: list[str | Path] = ["-keyout", folder / "key.pem", "-out", certificate, "-subj", "/CN=mail"]
    of = ["-addext", "subjectAltName=IP:127.0.0.1"]
    subprocess.run([needs("openssl"), *made, *named, *of], check=True, capture_output=True)
    return certificate

"""The three kinds of failure: a person is told, the wire is blamed, or we have a bug."""


class Refused(Exception):
    """Speaks to a person: `code` is a stable word that pages translate, `detail` an English sentence."""

    def __init__(self, code: str, detail: str = "") -> None:
        super().__init__(detail or code)
        self.code = code
        self.detail = detail or code


class BadFrame(Exception):
    """Blames the wire: `kind` is crc, checksum, length, malformed, unknown or range."""

    def __init__(self, kind: str, detail: str = "") -> None:
        super().__init__(f"{kind}: {detail}" if detail else kind)
        self.kind = kind
        self.detail = detail

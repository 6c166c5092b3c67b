"""Read-only views for pages and the API: each call opens its own read-only connection, and paging is SQL's work."""


class Queries:
    def __init__(self, url: str) -> None:
        self.url = url

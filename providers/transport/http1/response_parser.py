"""Parses the bytes of one connection's answers with llhttp and collects what each read completes."""

from __future__ import annotations

import httptools

from .failures import BrokenHttp

HEAD_BYTES = 2**16
"""Most bytes of a head, and most bytes that may arrive without a byte of a body: trailers, chunk extensions, interim answers."""
MAX_HEADERS = 256
_FIRST_FINAL_STATUS = 200


class _HeaderNames(dict[bytes, str]):
    """The names of headers in lower case by their bytes. Servers send the same names with every answer, so the first are kept."""

    def __missing__(self, name: bytes) -> str:
        key = name.decode("latin-1").lower()
        if len(self) < MAX_HEADERS:
            self[name] = key
        return key


class ResponseParser:
    """The state of one answer. Its `on_…` methods are the callbacks of httptools, which calls them while it parses."""

    __slots__ = (
        "_barren_bytes",
        "_llhttp",
        "_names",
        "_status",
        "has_surplus",
        "headers",
        "is_complete",
        "keeps_alive",
        "pieces",
        "status",
    )

    def __init__(self) -> None:
        self._llhttp = httptools.HttpResponseParser(self)
        # Servers that people run send control characters in values, bare line feeds and blanks after a chunk's size.
        self._llhttp.set_dangerous_leniencies(
            lenient_headers=True, lenient_optional_cr_before_lf=True, lenient_spaces_after_chunk_size=True
        )
        self._names = _HeaderNames()
        self.reset()

    def reset(self) -> None:
        """Start the next answer."""
        self.status = 0
        """Of the final answer; 0 until its head is complete."""
        self.headers: dict[str, str] = {}
        """Names in lower case; of several headers with one name, the first."""
        self.pieces: list[bytes] = []
        """Pieces of the body since the last read."""
        self.is_complete = False
        self.keeps_alive = False
        self.has_surplus = False
        """Whether something followed the complete answer."""
        self._status = 0
        self._barren_bytes = 0

    def feed(self, data: bytes) -> None:
        """Parse a read. Raises BrokenHttp; what was complete before the error is kept."""
        self.pieces = []
        was_in_head = not self.status
        try:
            self._llhttp.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            raise BrokenHttp("not HTTP/1") from error
        self._barren_bytes += len(data)
        if was_in_head and self.status:
            self._check_head()
        if self.pieces or self.is_complete:
            self._barren_bytes = 0
        elif self._barren_bytes > HEAD_BYTES:
            raise BrokenHttp("a head is too long")

    @property
    def ends_with_connection(self) -> bool:
        """Whether the body has neither a length nor chunks, so that only the end of the connection ends it."""
        framed = "content-length" in self.headers or "transfer-encoding" in self.headers
        return bool(self.status) and not self.is_complete and not framed

    def _check_head(self) -> None:
        headers = self.headers
        if "transfer-encoding" in headers and headers["transfer-encoding"].strip().lower() != "chunked":
            self.status = 0
            raise BrokenHttp("an unknown transfer encoding")
        if len(headers) > MAX_HEADERS or (
            self._barren_bytes > HEAD_BYTES
            and sum(len(name) + len(value) for name, value in headers.items()) > HEAD_BYTES
        ):
            self.status = 0
            raise BrokenHttp("a head is too long")

    def on_message_begin(self) -> None:
        """Notice an answer behind the complete one."""
        if self.is_complete:
            self.has_surplus = True

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep a header of the head; ignore trailers."""
        if not self._status:
            key = self._names[name]
            if key not in self.headers:
                self.headers[key] = value.decode("utf-8", "surrogateescape")

    def on_headers_complete(self) -> None:
        """Learn the status; interim answers (1xx) have none that counts."""
        if self.is_complete:
            return
        self._status = self._llhttp.get_status_code()
        if self._status >= _FIRST_FINAL_STATUS:
            self.status = self._status

    def on_body(self, piece: bytes) -> None:
        """Keep a piece of the body."""
        if not self.is_complete:
            self.pieces.append(piece)

    def on_message_complete(self) -> None:
        """End the answer, or drop an interim one."""
        if self.status:
            self.is_complete = True
            self.keeps_alive = self._llhttp.should_keep_alive()
        else:
            self._status = 0
            self.headers = {}

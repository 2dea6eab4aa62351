"""Decodes the content encoding of a body in pieces of bounded size. The client asks for none, but a server may compress regardless."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping

from .failures import DamagedBody

PIECE_BYTES = 2**18
"""Largest decoded piece: the reader can stop a body that decompresses to too much."""
_GZIP = 16 + zlib.MAX_WBITS
_ZLIB_METHOD = 8
_ENCODINGS = {"gzip": True, "x-gzip": True, "deflate": False}
"""Whether each known encoding is gzip."""


class BodyDecoder:
    """Decodes one gzip or deflate body."""

    __slots__ = ("_inflater", "_is_gzip")

    def __init__(self, *, is_gzip: bool) -> None:
        self._is_gzip = is_gzip
        self._inflater: zlib._Decompress | None = None

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Yield the decoded pieces. Raises DamagedBody."""
        while data:
            inflater = self._inflater_for(data)
            try:
                piece = inflater.decompress(data, PIECE_BYTES)
            except zlib.error as error:
                raise DamagedBody("the content encoding is damaged") from error
            if piece:
                yield piece
            if inflater.eof and not self._is_gzip:
                return
            data = inflater.unused_data if inflater.eof else inflater.unconsumed_tail

    def check_end(self) -> None:
        """Raise DamagedBody where the body ended inside its encoding."""
        if self._inflater is not None and not self._inflater.eof:
            raise DamagedBody("the content encoding ended early")

    def _inflater_for(self, data: bytes) -> zlib._Decompress:
        """Return the object that decodes `data`: a gzip body may have several members, deflate may lack the zlib header."""
        inflater = self._inflater
        if inflater is None or (inflater.eof and self._is_gzip):
            bare = not self._is_gzip and data[0] & 0xF != _ZLIB_METHOD
            inflater = zlib.decompressobj(_GZIP if self._is_gzip else -zlib.MAX_WBITS if bare else zlib.MAX_WBITS)
            self._inflater = inflater
        return inflater


def choose_decoder(headers: Mapping[str, str]) -> BodyDecoder | None:
    """Return a decoder for the body of these headers; None where it is not encoded. Raises DamagedBody on an unknown encoding."""
    encoding = headers.get("content-encoding")
    if encoding is None:
        return None
    name = encoding.strip().lower()
    if name in ("", "identity"):
        return None
    is_gzip = _ENCODINGS.get(name)
    if is_gzip is None:
        raise DamagedBody("the content encoding is unknown")
    return BodyDecoder(is_gzip=is_gzip)

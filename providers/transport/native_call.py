"""One call of the native transport: it reads the answer as it arrives, keeps its deadlines, and knows what was received so far."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from ..errors import BODY_LIMIT, Evidence, ProviderError
from ..masking import NOTHING_SECRET, Masking
from ..messages import ChatRequest, ChatResponse, Timing
from ..route import Route, Timeouts
from ..wire.errors.refusals import classify_failure
from ..wire.operations.chat import is_event_stream
from ..wire.received import ERROR_BODY_BYTES, MAX_ANSWER_BYTES, Received
from ..wire.streams.body import parse_json
from .clock import TAIL_S, build_timeout
from .formats import FORMATS, Assembler
from .http1.failures import ConnectionClosed, DamagedBody, TransferFailed


@dataclass(slots=True, eq=False)
class NativeCall:
    """One call and what was received so far, which is the evidence where the answer breaks off. Implements ResponseReader.

    `done` wakes the waiting task once: at the end of the answer, or with the error that ended it. The events of a stream are read as they
    arrive; a whole answer is only collected here and read by the task.
    """

    route: Route
    request: ChatRequest
    request_id: str
    timeouts: Timeouts
    deadline: float
    started_at: float
    masking: Masking = field(default=NOTHING_SECRET, repr=False)
    finishing: set[str] = field(default_factory=set)
    """Instances whose streams name a finish reason."""
    resent: int = 0
    expires_at: float = 0.0
    is_settled: bool = False
    done: asyncio.Future[None] = field(init=False)
    _sent_at: float = 0.0
    _stage: str = "connect"
    _ended_at: float = 0.0
    _status: int = 0
    _is_success: bool = False
    _headers: Mapping[str, str] = field(default_factory=dict)
    _pieces: list[bytes] = field(default_factory=list)
    _length: int = 0
    _assembler: Assembler | None = None

    def begin_connecting(self, now: float) -> None:
        """Start the wait for a connection. Raises TimedOut where the deadline has passed."""
        self._wait_for("connect", self.timeouts.connect_s, now)
        if now >= self.deadline:
            raise self.timed_out()

    def begin_answer(self, now: float) -> None:
        """Record that the connection is open and the request is about to be sent; start the wait for the answer."""
        self.done = asyncio.get_running_loop().create_future()
        self.is_settled = False
        self._sent_at = now
        if self.request.generation.stream:
            self._wait_for("first_token", self.timeouts.first_token_s, now)
        else:
            self._stage, self.expires_at = "attempt", self.deadline

    # ------------------------------------------------------------------ ResponseReader
    def head(self, status: int, headers: Mapping[str, str], now: float) -> None:
        """Choose how the body is read."""
        self._status, self._headers = status, headers
        self._is_success = 200 <= status < 300
        if not self._is_success:
            self._wait_for_tail(now)
        elif is_event_stream(headers.get("content-type", ""), self.request):
            assemble = FORMATS[self.route.operation].assemble
            self._assembler = assemble(self._received(b""), self._sent_at, self.finishing)

    def body(self, piece: bytes, now: float) -> None:
        """Take a piece of the body."""
        if self.is_settled:
            return
        if self._assembler is not None:
            self._feed(self._assembler, piece, now)
            return
        self._pieces.append(piece)
        self._length += len(piece)
        if not self._is_success:
            self._wait_for_tail(now)
            if self._length >= ERROR_BODY_BYTES:
                self.end(now)
        elif self._length > MAX_ANSWER_BYTES:
            self._fail(
                self._received(self._start()).malformed(f"the answer is longer than {MAX_ANSWER_BYTES // 2**20} MB")
            )
        elif self.request.generation.stream:
            self._wait_for("between_tokens", self.timeouts.between_tokens_s, now)

    def end(self, now: float) -> None:
        """Wake the task: the answer is complete."""
        if not self.is_settled:
            self.is_settled = True
            self._ended_at = now
            if not self.done.done():
                self.done.set_result(None)

    def lose(self, error: TransferFailed, now: float) -> None:
        """Wake the task: the connection has ended. An answer that has finished and the status of a failure stand."""
        if self._stands:
            self.end(now)
        elif self._status and isinstance(error, ConnectionClosed):
            self._fail(DamagedBody("the answer was cut short"))
        else:
            self._fail(error)

    def expire(self, now: float) -> None:
        """Wake the task: the time of the current phase is over."""
        if self._stands:
            self.end(now)
        else:
            self._fail(self.timed_out())

    # ------------------------------------------------------------------ results
    @property
    def connect_s(self) -> float:
        """Seconds from the start of the call to the send."""
        return self._sent_at - self.started_at

    def answer(self) -> ChatResponse:
        """Read the answer. Raises the ProviderError that it stands for where it is none."""
        if not self._is_success:
            raise classify_failure(self._received(b"".join(self._pieces)))
        assembler = self._assembler
        response = assembler.finish(self.connect_s) if assembler is not None else self._read_whole()
        return replace(response, timing=replace(response.timing, resent=self.resent)) if self.resent else response

    def evidence(self) -> Evidence:
        """Build the evidence of an error from what was received."""
        evidence = (
            self._received(self._start()).evidence()
            if self._status
            else Evidence(self.route.instance.name, self.request_id)
        )
        return replace(evidence, resent=self.resent) if self.resent else evidence

    def timed_out(self) -> ProviderError:
        """Build the error of the phase that exceeded its timeout."""
        stage = "attempt" if self.expires_at >= self.deadline else self._stage
        bounds = {"connect": self.timeouts.connect_s, "first_token": self.timeouts.first_token_s}
        return build_timeout(stage, bounds.get(stage, self.timeouts.between_tokens_s), self.evidence())

    # ------------------------------------------------------------------ private
    @property
    def _stands(self) -> bool:
        """Whether what was received is enough, whatever happens to the connection."""
        if self._assembler is not None:
            return self._assembler.has_finished
        return bool(self._status) and not self._is_success

    def _feed(self, assembler: Assembler, piece: bytes, now: float) -> None:
        if self._length < BODY_LIMIT:
            self._pieces.append(piece[:BODY_LIMIT])
            self._length += len(piece)
        try:
            assembler.feed(piece, now)
        except ProviderError as error:
            self._fail(error)
            return
        if assembler.has_finished:
            self._wait_for_tail(now)
        elif assembler.first_token_at is not None and self.request.generation.stream:
            self._wait_for("between_tokens", self.timeouts.between_tokens_s, now)

    def _wait_for(self, stage: str, bound_s: float, now: float) -> None:
        expires_at = now + bound_s
        self._stage, self.expires_at = stage, expires_at if expires_at < self.deadline else self.deadline

    def _wait_for_tail(self, now: float) -> None:
        """Wait a short time for optional data: after the finish reason, and in the page of an error."""
        self.expires_at = min(now + TAIL_S, now + self.timeouts.between_tokens_s / 2, self.deadline)

    def _fail(self, error: Exception) -> None:
        if not self.is_settled:
            self.is_settled = True
            if not self.done.done():
                self.done.set_exception(error)

    def _read_whole(self) -> ChatResponse:
        received = self._received(b"".join(self._pieces))
        loop = asyncio.get_running_loop()
        began_at = loop.time()
        body = parse_json(received)
        timing = Timing(self.connect_s, None, self._ended_at - self._sent_at, parse_s=loop.time() - began_at)
        return FORMATS[self.route.operation].read(body, received, timing)

    def _received(self, body: bytes) -> Received:
        name = self.route.instance.name
        return Received(name, self.request_id, self.request, self._status, self._headers, body, self.masking)

    def _start(self) -> bytes:
        """Join the start of the body, enough for the evidence."""
        start = b""
        for piece in self._pieces:
            if len(start) >= 4 * BODY_LIMIT:
                break
            start += piece[: 4 * BODY_LIMIT]
        return start

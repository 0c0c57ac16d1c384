"""What comes again on a connection is answered by the protocol itself; everything else is as uvicorn has it."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
import uvicorn
from uvicorn.server import ServerState

from codec.front import front
from codecsite.protocol import CodecProtocol
from keys.errors import AuditUnavailable

HEAD = "POST /decode HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n"


def request(body: str, head: str = HEAD) -> bytes:
    return (head.format(len(body)) + body).encode()


class Transport(asyncio.Transport):
    def __init__(self) -> None:
        super().__init__({"peername": ("10.0.0.1", 4000), "sockname": ("10.0.0.2", 80)})
        self.written = b""
        self.closed = False
        self.is_paused = False

    def write(self, data: Any) -> None:
        self.written += data

    def is_closing(self) -> bool:
        return self.closed

    def close(self) -> None:
        self.closed = True

    def pause_reading(self) -> None:
        self.is_paused = True

    def resume_reading(self) -> None:
        self.is_paused = False


class Remembered:
    head = b"x-from: memory\r\n"


class Repetition:
    """An answer whose record is committed when the test says so."""

    request_id = "1-2"
    remembered = Remembered()

    def __init__(self, body: bytes) -> None:
        self.body = b"again " + body
        self.counted = 0

    def commit(self, then: Callable[[Exception | None], None]) -> None:
        self.then = then

    def count(self) -> None:
        self.counted += 1


class Connection:
    """A connection to an application that answers with what it was asked, marks included."""

    def __init__(self, **options: Any) -> None:
        self.seen: list[dict[str, Any]] = []
        self.repetitions: list[Repetition] = []
        quiet: dict[str, Any] = {"lifespan": "off", "log_config": None, "proxy_headers": False, "access_log": False}
        config = uvicorn.Config(self._answer, http=CodecProtocol, interface="asgi3", **quiet, **options)
        self.transport = Transport()
        self.protocol = CodecProtocol(config, ServerState(), {}, asyncio.get_running_loop())
        self.protocol.connection_made(self.transport)

    async def _answer(self, scope: Any, receive: Any, send: Any) -> None:
        body, has_more = b"", True
        while has_more:
            message = await receive()
            body, has_more = body + message["body"], message["more_body"]
        self.seen.append(scope)
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(body))]})
        await send({"type": "http.response.body", "body": body})

    async def send(self, *pieces: bytes) -> bytes:
        """Return what is answered before the loop comes to rest."""
        before = len(self.transport.written)
        for piece in pieces:
            self.protocol.data_received(piece)
            for _ in range(5):
                await asyncio.sleep(0)
        return self.transport.written[before:]


@pytest.fixture(autouse=True)
def memory(monkeypatch: pytest.MonkeyPatch) -> list[Repetition]:
    """The front layer remembers everything, and gives these repetitions."""
    given: list[Repetition] = []

    def repeat(remembered: object, body: bytes) -> Repetition:
        given.append(Repetition(body))
        return given[-1]

    monkeypatch.setattr(front, "recall", lambda likeness: Remembered())
    monkeypatch.setattr(front, "repeat", repeat)
    return given


def in_loop(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    def run(memory: list[Repetition]) -> None:
        asyncio.run(test(memory))

    run.__name__ = test.__name__
    return run


@in_loop
async def test_second_request_with_the_same_head_is_repeated(memory):
    line = Connection()
    assert (await line.send(request("first"))).endswith(b"first")
    assert memory == []
    assert await line.send(request("the second")) == b""
    memory[0].then(None)
    head, _, body = line.transport.written.partition(b"first")[2].partition(b"\r\n\r\n")
    assert body == b"again the second"
    assert head.startswith(b"HTTP/1.1 200 OK\r\n")
    assert b"x-from: memory\r\ncontent-length: 16\r\nx-request-id: 1-2" in head
    assert memory[0].counted == 1
    assert len(line.seen) == 1


@in_loop
async def test_other_head_pieces_and_heaps_are_parsed(memory):
    line = Connection()
    whole, other = request("first"), request("other", HEAD.replace("x", "y"))
    await line.send(whole)
    for pieces in ([other], [whole[:9], whole[9:]], [whole[:-1], whole[-1:]]):
        assert (await line.send(*pieces)).endswith(b"other" if pieces == [other] else b"first")
    assert (await line.send(whole * 2)).count(b"first") == 2
    assert memory == []
    assert len(line.seen) == 6


@in_loop
async def test_what_comes_meanwhile_waits_its_turn(memory):
    line = Connection()
    await line.send(request("first"))
    await line.send(request("second"), request("third"), request("other", HEAD.replace("x", "y")))
    assert line.transport.is_paused
    assert len(memory) == 1
    memory[0].then(None)
    await asyncio.sleep(0)
    assert not line.transport.is_paused
    answer = line.transport.written
    for _ in range(5):
        await asyncio.sleep(0)
    texts = [b"first", b"again second", b"third", b"other"]
    assert [line.transport.written.count(text) for text in texts] == [1] * 4
    assert sorted(texts, key=line.transport.written.index) == texts
    assert answer.index(b"again second") > answer.index(b"first")


@in_loop
async def test_uncommitted_answer_is_decided_afresh_and_marked(memory):
    line = Connection()
    await line.send(request("first"))
    await line.send(request("second"))
    memory[0].then(AuditUnavailable("no disk"))
    for _ in range(5):
        await asyncio.sleep(0)
    assert b"again" not in line.transport.written
    assert [scope.get("codec.refusal") for scope in line.seen] == [None, "audit_unavailable"]
    await line.send(request("third"))
    memory[1].then(None)
    assert line.transport.written.endswith(b"again third")


@in_loop
async def test_client_that_has_left_is_told_nothing(memory):
    line = Connection()
    await line.send(request("first"))
    await line.send(request("second"))
    line.transport.closed = True
    line.protocol.connection_lost(None)
    memory[0].then(None)
    assert b"again" not in line.transport.written
    assert memory[0].counted == 0


@in_loop
async def test_answer_on_its_way_leaves_before_the_server_ends(memory):
    line = Connection()
    await line.send(request("first"))
    await line.send(request("second"))
    line.protocol.shutdown()
    assert not line.transport.closed
    memory[0].then(None)
    assert line.transport.written.endswith(b"again second")
    assert line.transport.closed


@in_loop
async def test_idle_connection_is_closed_and_a_busy_one_is_not(memory):
    line = Connection(timeout_keep_alive=5)
    await line.send(request("first"))
    await line.send(request("second"))
    line.protocol.timeout_keep_alive_handler()
    memory[0].then(None)
    line.protocol.timeout_keep_alive_handler()
    assert not line.transport.closed
    line.protocol._repeated_at -= 5
    line.protocol.timeout_keep_alive_handler()
    assert line.transport.closed


@in_loop
async def test_crowded_server_repeats_nothing(memory):
    line = Connection(limit_concurrency=2)
    await line.send(request("first"))
    line.protocol.connections.add(object())
    assert b"503" in await line.send(request("second"))
    assert memory == []


@in_loop
async def test_client_that_does_not_read_is_not_written_to(memory):
    line = Connection()
    await line.send(request("first"))
    line.protocol.pause_writing()
    assert await line.send(request("second")) == b""
    assert memory == []
    line.protocol.resume_writing()
    assert (await line.send(request("third", HEAD.replace("x", "y")))).endswith(b"third")


@in_loop
async def test_connection_that_is_to_end_is_not_known(memory):
    line = Connection()
    await line.send(request("first", HEAD.replace("\r\n\r\n", "\r\nConnection: close\r\n\r\n")))
    assert line.protocol._known is None

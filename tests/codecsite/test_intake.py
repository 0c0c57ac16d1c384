"""What stands between the HTTP server and Django: bounds on headers, bodies, waiting and memory."""

import asyncio
from dataclasses import dataclass, field
from typing import Any

import pytest

from codecsite.intake import Intake

COOKIE = (b"cookie", b"__Host-codecsid=abc")
BEARER = (b"authorization", b"Bearer abc")


@dataclass
class Client:
    """Sends a request to an Intake, and remembers what Django would have seen of it."""

    headers: list[tuple[bytes, bytes]] = field(default_factory=list)
    chunks: list[bytes] = field(default_factory=lambda: [b""])
    query: bytes = b""
    method: str = "POST"
    ending: Any = None  # what happens instead of the end of the body: a message, or waiting forever
    taken: int = 0
    answer_headers: list[tuple[bytes, bytes]] | None = None
    scope: dict[str, Any] | None = None
    body: bytes | None = None

    async def receive(self) -> dict[str, Any]:
        if self.taken == len(self.chunks):
            return self.ending if self.ending else await asyncio.Event().wait()
        self.taken += 1
        more = self.ending is not None or self.taken < len(self.chunks)
        return {"type": "http.request", "body": self.chunks[self.taken - 1], "more_body": more}

    async def django(self, scope: Any, receive: Any, send: Any) -> None:
        message = await receive()
        assert message["more_body"] is False
        self.scope, self.body = scope, message["body"]
        await send({"type": "http.response.start", "status": 200, "headers": []})

    async def send(self, message: dict[str, Any]) -> None:
        self.answer_headers = message["headers"]

    async def visit(self, intake: Intake | None = None) -> "Client":
        scope = {"type": "http", "method": self.method, "headers": self.headers, "query_string": self.query}
        await (intake or Intake(self.django))(scope, self.receive, self.send)
        return self

    def go(self) -> "Client":
        return asyncio.run(self.visit())

    @property
    def refusal(self) -> str | None:
        return self.scope.get("codec.refusal")

    @property
    def length(self) -> int:
        """The Content-Length that Django sees."""
        return int(dict(self.scope["headers"])[b"content-length"])


@pytest.fixture(autouse=True)
def small_limits(settings):
    settings.CODEC_MAX_BODY_BYTES = 1000
    settings.CODEC_MAX_ANONYMOUS_BODY_BYTES = 100
    settings.CODEC_MAX_BYTES_IN_FLIGHT = 1500
    settings.CODEC_MAX_HEADER_BYTES = 200
    settings.CODEC_BODY_SECONDS = 0.05


# Bodies ---------------------------------------------------------------------------------------------------------------


def test_body_in_pieces_arrives_whole_with_its_true_length():
    client = Client([COOKIE], [b"a" * 300, b"", b"b" * 200]).go()
    assert (client.body, client.length, client.refusal) == (b"a" * 300 + b"b" * 200, 500, None)


def test_request_without_a_body_has_length_zero():
    assert Client().go().length == 0


@pytest.mark.parametrize("told", [b"3", b"99"])
def test_length_that_was_told_is_replaced_by_what_arrived(told):
    assert Client([(b"content-length", told)], [b"12345"]).go().length == 5


def test_body_of_exactly_the_limit_passes():
    client = Client([COOKIE], [b"a" * 1000]).go()
    assert (len(client.body), client.length) == (1000, 1000)


def test_body_declared_too_large_is_not_read():
    client = Client([COOKIE, (b"content-length", b"1001")], [b"a" * 1001]).go()
    assert (client.taken, client.body, client.length, client.refusal) == (0, b"", 1001, None)


def test_body_that_grows_too_large_is_read_no_further():
    client = Client([COOKIE], [b"a" * 600] * 5).go()
    assert (client.taken, client.body) == (2, b"")
    assert client.length > 1000


def test_length_that_is_no_number_is_left_to_the_reading():
    assert Client([COOKIE, (b"content-length", b"-5")], [b"12345"]).go().length == 5


# Who has shown no credential may send little --------------------------------------------------------------------------


@pytest.mark.parametrize("credential", [COOKIE, BEARER, (b"authorization-extras", b"abc")])
def test_body_with_a_credential_may_be_large(credential):
    assert len(Client([credential], [b"a" * 101]).go().body) == 101


def test_anonymous_body_of_exactly_its_limit_passes():
    assert len(Client(chunks=[b"a" * 100]).go().body) == 100


@pytest.mark.parametrize("headers", [[], [(b"content-length", b"101")], [(b"cookie", b"other=abc")]])
def test_anonymous_body_above_its_limit_looks_too_large_to_django(headers):
    client = Client(headers, [b"a" * 101]).go()
    assert (client.body, client.length) == (b"", 1001)


# Headers --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", [b"x-namespace", b"authorization", b"authorization-extras", b"origin", b"content-type", b"host"]
)
def test_header_that_decides_may_come_once(name):
    assert Client([(name, b"a"), (name, b"a")]).go().refusal == "bad_headers"


def test_other_header_may_come_twice():
    assert Client([(b"accept", b"a"), (b"accept", b"b")]).go().refusal is None


def test_header_with_an_underscore_is_dropped():
    client = Client([(b"x_namespace", b"evil"), (b"x-namespace", b"payments"), (b"content_length", b"9")]).go()
    assert client.scope["headers"] == [(b"x-namespace", b"payments"), (b"content-length", b"0")]


@pytest.mark.parametrize(("size", "refusal"), [(194, None), (195, "bad_headers")])
def test_headers_are_bounded_in_all(size, refusal):
    assert Client([(b"abc", b""), (b"def", b"a" * size)]).go().refusal == refusal


def test_raw_bytes_in_the_query_are_refused_and_dropped():
    client = Client(query=b"a=\xff").go()
    assert (client.refusal, client.scope["query_string"]) == ("bad_headers", b"")


def test_escaped_bytes_in_the_query_are_kept():
    assert Client(query=b"a=%ff").go().scope["query_string"] == b"a=%ff"


def test_body_after_refused_headers_is_not_read():
    client = Client([(b"host", b"a"), (b"host", b"b"), COOKIE], [b"a" * 50]).go()
    assert (client.taken, client.body, client.length) == (0, b"", 0)


@pytest.mark.parametrize("framing", [(b"content-length", b"5"), (b"transfer-encoding", b"chunked")])
def test_body_after_an_offer_to_upgrade_is_refused(framing):
    assert Client([(b"upgrade", b"h2c"), framing]).go().refusal == "bad_headers"


def test_body_of_connect_is_refused():
    assert Client([(b"content-length", b"5")], method="CONNECT").go().refusal == "bad_headers"


@pytest.mark.parametrize("client", [Client([(b"upgrade", b"h2c")]), Client(method="CONNECT")])
def test_offer_to_upgrade_without_a_body_passes(client):
    assert client.go().refusal is None


def test_refused_request_ends_its_connection():
    assert Client([(b"host", b"a"), (b"host", b"b")]).go().answer_headers == [(b"connection", b"close")]


def test_other_request_leaves_its_connection_open():
    assert Client([COOKIE], [b"a" * 1001]).go().answer_headers == []


# Waiting --------------------------------------------------------------------------------------------------------------


def test_body_that_does_not_arrive_in_time_is_refused():
    assert Client(chunks=[b"begin"], ending=False).go().refusal == "body_too_slow"


def test_client_that_goes_away_costs_django_nothing():
    assert Client(chunks=[b"begin"], ending={"type": "http.disconnect"}).go().scope is None


# Memory ---------------------------------------------------------------------------------------------------------------


def large(**fields: Any) -> Client:
    return Client([COOKIE], [b"a" * 1000], **fields)


def at_once(*clients: Client) -> list[str | None]:
    """Return what is refused when all have sent before Django answers the first."""

    async def visit_all() -> None:
        gate = asyncio.Event()

        async def django(scope: Any, receive: Any, send: Any) -> None:
            scope["client"].scope = scope
            await gate.wait()

        intake = Intake(django)
        visits = []
        for client in clients:
            scope = {"type": "http", "method": "POST", "headers": client.headers, "query_string": b"", "client": client}
            visits.append(asyncio.create_task(intake(scope, client.receive, None)))
        await asyncio.sleep(0)
        gate.set()
        await asyncio.gather(*visits)

    asyncio.run(visit_all())
    return [client.refusal for client in clients]


def test_body_beyond_what_may_be_in_flight_is_refused():
    assert at_once(large(), large()) == [None, "busy"]


def test_refused_body_makes_room_before_its_refusal_is_answered():
    half = Client([COOKIE], [b"a" * 600, b"a" * 400])
    assert at_once(Client([COOKIE], [b"a" * 1000]), half, Client([COOKIE], [b"a" * 500])) == [None, "busy", None]


@pytest.mark.parametrize(
    "first",
    [
        large(),
        large(ending={"type": "http.disconnect"}),
        large(ending=False),
        Client([COOKIE], [b"a" * 1001]),
    ],
    ids=["served", "gone away", "too slow", "too large"],
)
def test_finished_request_gives_its_bytes_back(first):
    async def one_after_the_other():
        second = large()
        intake = Intake(second.django)
        await first.visit(intake)
        await second.visit(intake)
        return second.refusal

    assert asyncio.run(one_after_the_other()) is None


def test_broken_request_gives_its_bytes_back():
    async def after_an_error():
        second = large()

        async def django(scope, receive, send):
            if second.taken == 0:
                raise RuntimeError("broken")
            await second.django(scope, receive, send)

        intake = Intake(django)
        with pytest.raises(RuntimeError):
            await large().visit(intake)
        await second.visit(intake)
        return second.refusal

    assert asyncio.run(after_an_error()) is None


def test_what_is_not_http_passes_untouched():
    seen = []

    async def django(scope, receive, send):
        seen.append((scope, receive, send))

    asyncio.run(Intake(django)({"type": "lifespan"}, None, None))
    assert seen == [({"type": "lifespan"}, None, None)]

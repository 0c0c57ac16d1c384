"""The real `temporal` command, reading and writing an encrypted workflow through this server.

Refusals are looked at with `query` and `signal`. `show`, `start` and `describe` are of no use for that: the CLI
repeats a refused request until its own time is up, and then says nothing but "context deadline exceeded".
"""

import base64
import json
import os
import re
import subprocess
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect
from temporalio.client import Client

from demo.codec_server import Installation
from demo.dev_server import DevServer, temporal_command
from demo.worker import APPROVAL, PAYMENT, TASK_QUEUE
from tests.e2e.people import Person
from tests.e2e.read_page import decode, drop, open_event
from tests.e2e.web_ui import fill_in

Run = Callable[..., "subprocess.CompletedProcess[str]"]
Output = Callable[..., str]
ENDPOINTS = ["", "/", "/team/codec", "/{namespace}", "/{namespace}/"]
ORDER = json.dumps({"payer": "Grace Hopper", "iban": "FR14 2004", "email": "grace@example.com", "amount": "7.00 EUR"})
NO_TOKEN = "Without a token, a request must come from a configured Web UI origin."
WRONG_ORIGIN = "This server does not answer pages of that origin."
NO_ACCESS = "You do not have access to this namespace on the codec server."


@dataclass(frozen=True, slots=True)
class Token:
    """One made by command: its text, and the id by which commands know it."""

    text: str = field(repr=False)
    id: str


def make_token(codec: Installation, username: str, *limits: str) -> Token:
    verbs = limits or ("--decode", "--encode")
    made = json.loads(codec.manage("create_token", username, "--name", "test", *verbs, "--json"))
    return Token(made["token"], made["id"])


@pytest.fixture(scope="session")
def alices_token(codec: Installation, alice: Person) -> str:
    return make_token(codec, "alice").text


@pytest.fixture(scope="session")
def mallorys_token(codec: Installation, mallory: Person) -> str:
    return make_token(codec, "mallory").text


@pytest.fixture
def home(tmp_path: Path) -> dict[str, str]:
    """An environment with a home of its own: no profile of the person who runs the tests takes part."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("TEMPORAL_")}
    path = f"{Path(temporal_command()).parent}:{inherited['PATH']}"
    return inherited | {"HOME": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path), "PATH": path}


@pytest.fixture
def cli(temporal: DevServer, client: Client, home: dict[str, str]) -> Run:
    """Runs `temporal workflow …` without a codec."""

    def run(verb: str, *arguments: str) -> "subprocess.CompletedProcess[str]":
        # The CLI gives up connecting after five seconds, which a busy machine exceeds now and then.
        connection = ("--address", temporal.address, "--client-connect-timeout", "30s")
        command = [temporal_command(), "workflow", verb, *connection, *arguments]
        return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, env=home)

    return run


@pytest.fixture
def through_codec(cli: Run, codec: Installation) -> Run:
    """Runs `temporal workflow …` with this server as its codec, and a token."""

    def run(verb: str, *arguments: str, endpoint: str = "", token: str = "") -> "subprocess.CompletedProcess[str]":
        credential = ["--codec-auth", f"Bearer {token}"] if token else []
        return cli(verb, *arguments, "--codec-endpoint", codec.url + endpoint, *credential)

    return run


@pytest.fixture
def as_alice(through_codec: Run, alices_token: str) -> Output:
    """Runs it with alice's token, expects it to succeed and returns what it printed."""

    def run(verb: str, *arguments: str, endpoint: str = "") -> str:
        done = through_codec(verb, *arguments, endpoint=endpoint, token=alices_token)
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run


@pytest.fixture
def order(as_alice: Output) -> str:
    """The id of a payment that alice started with the CLI and that waits for its approval."""
    return start(as_alice)


def start(run: Output, endpoint: str = "") -> str:
    """Start a payment and return its workflow id."""
    workflow_id = f"order-{uuid.uuid4().hex[:8]}"
    identity = ("--workflow-id", workflow_id, "--type", "PaymentWorkflow", "--task-queue", TASK_QUEUE)
    run("start", *identity, "--input", ORDER, "--memo", 'note="VIP"', endpoint=endpoint)
    return workflow_id


# Reading --------------------------------------------------------------------------------------------------------------


def test_show_without_a_codec_is_ciphertext(cli: Run, payment: str) -> None:
    shown = cli("show", "-w", payment, "-o", "json").stdout
    assert "encryption-key-id" in shown
    assert PAYMENT.payer not in shown


@pytest.mark.parametrize("endpoint", ENDPOINTS)
def test_show_reads(as_alice: Output, payment: str, endpoint: str) -> None:
    assert PAYMENT.iban in as_alice("show", "-w", payment, endpoint=endpoint)


def test_show_as_json_reads_every_payload(as_alice: Output, payment: str) -> None:
    shown = as_alice("show", "-w", payment, "-o", "json")
    data = " ".join(base64.b64decode(found).decode() for found in re.findall(r'"data": "([^"]+)"', shown))
    assert "encryption-key-id" not in shown
    for plaintext in (PAYMENT.email, APPROVAL.remark, f"Mailbox of {PAYMENT.email} is full", "before noon"):
        assert plaintext in data


@pytest.mark.parametrize("endpoint", ENDPOINTS)
def test_query_reads(as_alice: Output, payment: str, endpoint: str) -> None:
    answer = as_alice("query", "-w", payment, "--type", "progress", endpoint=endpoint)
    assert f"{PAYMENT.payer} has paid" in answer


# Writing --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("endpoint", ENDPOINTS)
def test_started_and_signalled_workflow_reaches_the_worker(as_alice: Output, endpoint: str) -> None:
    workflow_id = start(as_alice, endpoint)
    approval = '{"approver": "Alan", "remark": "fine"}'
    as_alice("signal", "-w", workflow_id, "--name", "approve", "-i", approval, endpoint=endpoint)
    assert "Booking of 7.00 EUR from FR14 2004" in as_alice("result", "-w", workflow_id, endpoint=endpoint)


def test_what_the_cli_writes_is_stored_encrypted(cli: Run, order: str) -> None:
    stored = cli("show", "-w", order, "-o", "json").stdout
    assert "encryption-key-id" in stored
    assert "Grace" not in stored
    assert "json/plain" not in stored


def test_lines_that_the_page_writes_out_set_the_cli_up(
    cli: Run, home: dict[str, str], page: Page, codec: Installation, alice: Person, payment: str
) -> None:
    for line in lines_of_a_new_token(page, codec, alice):
        subprocess.run(["bash", "-c", line], check=True, env=home, capture_output=True, timeout=60)
    assert PAYMENT.iban in cli("show", "-w", payment).stdout


def lines_of_a_new_token(page: Page, codec: Installation, person: Person) -> list[str]:
    """Make a token on the page, and return the lines to run once, as a person would copy them."""
    page.goto(f"{codec.url}/login/?next=/tokens/")
    fill_in(page, person)
    page.get_by_label("What is it for?").fill("the command line")
    page.get_by_label("default").check()
    page.get_by_role("button", name="Make token").click()
    lines = page.get_by_label("Lines that set up the command line").locator("code").all_inner_texts()
    assert len(lines) == 2
    assert all(line.startswith("temporal env set ") for line in lines)
    return lines


# Refusals -------------------------------------------------------------------------------------------------------------


def end_revoked(codec: Installation, token: Token) -> str:
    codec.manage("revoke_token", token.id, "--reason", "test")
    return f"This token was revoked. Make a new one at {codec.url}/tokens/."


def end_expired(codec: Installation, token: Token) -> str:
    change = f"ApiToken.objects.filter(digest__startswith={token.id!r}).update(expires_at=timezone.now())"
    script = f"from codec.models import ApiToken; from django.utils import timezone; {change}"
    codec.manage("shell", "--verbosity=0", stdin=script)
    return f"This token has expired. Make a new one at {codec.url}/tokens/."


@pytest.mark.parametrize("end", [end_revoked, end_expired])
def test_ended_token_is_refused_with_our_sentence(
    through_codec: Run, codec: Installation, alice: Person, payment: str, end: Callable[[Installation, Token], str]
) -> None:
    token = make_token(codec, "alice")
    ask = ("query", "-w", payment, "--type", "progress")
    assert PAYMENT.payer in through_codec(*ask, token=token.text).stdout
    sentence = end(codec, token)
    assert_refused(through_codec(*ask, token=token.text), "Unauthorized", sentence)


def test_ended_token_signals_nothing(through_codec: Run, codec: Installation, as_alice: Output, order: str) -> None:
    token = make_token(codec, "alice")
    sentence = end_revoked(codec, token)
    approval = '{"approver": "Mallory", "remark": "mine"}'
    refused = through_codec("signal", "-w", order, "--name", "approve", "-i", approval, token=token.text)
    assert_refused(refused, "Unauthorized", sentence)
    assert "waits for an approval" in as_alice("query", "-w", order, "--type", "progress")


@pytest.mark.parametrize(
    ("mistake", "sentence"),
    [
        (lambda token: f"Bearer {token[:-1]}", "This token is incomplete or mistyped. Copy it again, all of it."),
        (lambda token: token, "Write the word Bearer before the token:"),
    ],
    ids=["incomplete", "without Bearer"],
)
def test_token_given_wrongly_is_refused_with_our_sentence(
    cli: Run, codec: Installation, payment: str, alices_token: str, mistake: Callable[[str], str], sentence: str
) -> None:
    codec_flags = ("--codec-endpoint", codec.url, "--codec-auth", mistake(alices_token))
    assert_refused(cli("query", "-w", payment, "--type", "progress", *codec_flags), "Unauthorized", sentence)


def test_query_without_a_token_is_refused(through_codec: Run, payment: str) -> None:
    assert_refused(through_codec("query", "-w", payment, "--type", "progress"), "Forbidden", NO_TOKEN)


def test_query_with_a_foreign_origin_is_refused(cli: Run, codec: Installation, payment: str, alices_token: str) -> None:
    codec_flags = ("--codec-endpoint", codec.url, "--codec-auth", f"Bearer {alices_token}")
    header = "--codec-header=Origin=http://localhost:9999"
    refused = cli("query", "-w", payment, "--type", "progress", *codec_flags, header)
    assert_refused(refused, "Forbidden", WRONG_ORIGIN)


def test_token_of_a_person_without_a_grant_is_refused(through_codec: Run, payment: str, mallorys_token: str) -> None:
    refused = through_codec("query", "-w", payment, "--type", "progress", token=mallorys_token)
    assert_refused(refused, "Forbidden", NO_ACCESS)


def test_signal_without_a_grant_is_refused_and_not_sent(
    through_codec: Run, as_alice: Output, order: str, mallorys_token: str
) -> None:
    approval = '{"approver": "Mallory", "remark": "mine"}'
    refused = through_codec("signal", "-w", order, "--name", "approve", "-i", approval, token=mallorys_token)
    assert_refused(refused, "Forbidden", NO_ACCESS)
    assert "waits for an approval" in as_alice("query", "-w", order, "--type", "progress")


def test_token_for_decoding_alone_reads(through_codec: Run, codec: Installation, alice: Person, payment: str) -> None:
    token = make_token(codec, "alice", "--decode").text
    assert PAYMENT.iban in through_codec("show", "-w", payment, token=token).stdout


# A query is one of them: the CLI has even its empty arguments encoded.
@pytest.mark.parametrize(
    "send", [("query", "--type", "progress"), ("signal", "--name", "approve", "-i", '{"approver": "Alan"}')]
)
def test_token_for_decoding_alone_sends_nothing(
    through_codec: Run, codec: Installation, as_alice: Output, order: str, send: tuple[str, ...]
) -> None:
    token = make_token(codec, "alice", "--decode").text
    assert_refused(through_codec(*send, "-w", order, token=token), "Forbidden", NO_ACCESS)
    assert "waits for an approval" in as_alice("query", "-w", order, "--type", "progress")


@pytest.mark.parametrize("who", ["nobody", "mallory"])
def test_refused_show_prints_no_plaintext(through_codec: Run, payment: str, mallorys_token: str, who: str) -> None:
    token = {"nobody": "", "mallory": mallorys_token}[who]
    refused = through_codec("show", "-w", payment, "-o", "json", "--command-timeout", "1s", token=token)
    assert_refused(refused)


def assert_refused(done: "subprocess.CompletedProcess[str]", *sentences: str) -> None:
    assert done.returncode == 1
    assert PAYMENT.payer not in done.stdout + done.stderr
    for sentence in sentences:
        assert sentence in done.stderr


def test_printed_history_is_dropped_on_the_read_page_and_reads(
    cli: Run, page: Page, codec: Installation, alice: Person, payment: str
) -> None:
    page.goto(f"{codec.url}/login/?next=/read/")
    fill_in(page, alice)
    drop(page, cli("show", "-w", payment, "-o", "json").stdout)
    decode(page)
    expect(open_event(page, "Workflow execution started")).to_contain_text(PAYMENT.iban)

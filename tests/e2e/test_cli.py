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
from pathlib import Path

import pytest
from temporalio.client import Client

from demo.codec_server import Installation
from demo.dev_server import DevServer, temporal_command
from demo.worker import APPROVAL, PAYMENT, TASK_QUEUE
from tests.e2e.people import Person, sign_in

Run = Callable[..., "subprocess.CompletedProcess[str]"]
Output = Callable[..., str]
ENDPOINTS = ["", "/", "/team/codec", "/{namespace}", "/{namespace}/"]
ORDER = json.dumps({"payer": "Grace Hopper", "iban": "FR14 2004", "email": "grace@example.com", "amount": "7.00 EUR"})
NOT_SIGNED_IN = "You are not signed in to the codec server."
SESSION_ENDED = "Your session has ended. Sign in to the codec server again."
NO_ORIGIN = "A request with a session"
WRONG_ORIGIN = "This server does not answer pages of that origin."
NO_ACCESS = "You do not have access to this namespace on the codec server."


@pytest.fixture(scope="session")
def alices_cookie(codec: Installation, alice: Person) -> str:
    return sign_in(codec.url, alice)


@pytest.fixture(scope="session")
def mallorys_cookie(codec: Installation, mallory: Person) -> str:
    return sign_in(codec.url, mallory)


@pytest.fixture
def cli(temporal: DevServer, client: Client, tmp_path: Path) -> Run:
    """Runs `temporal workflow …` without a codec."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("TEMPORAL_")}

    def run(verb: str, *arguments: str) -> "subprocess.CompletedProcess[str]":
        # The CLI gives up connecting after five seconds, which a busy machine exceeds now and then.
        connection = ("--address", temporal.address, "--client-connect-timeout", "30s")
        command = [temporal_command(), "workflow", verb, *connection, *arguments]
        # A home of its own: no profile of the person who runs the tests takes part.
        environment = inherited | {"HOME": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path)}
        return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, env=environment)

    return run


@pytest.fixture
def through_codec(cli: Run, codec: Installation, ui_url: str) -> Run:
    """Runs `temporal workflow …` with this server as its codec, and what a browser would send as headers."""

    def run(
        verb: str, *arguments: str, endpoint: str = "", cookie: str = "", origin: str = ui_url
    ) -> "subprocess.CompletedProcess[str]":
        headers = [f"--codec-header=Cookie={cookie}"] if cookie else []
        headers.append(f"--codec-header=Origin={origin}")
        return cli(verb, *arguments, "--codec-endpoint", codec.url + endpoint, *headers)

    return run


@pytest.fixture
def as_alice(through_codec: Run, alices_cookie: str) -> Output:
    """Runs it with alice's session, expects it to succeed and returns what it printed."""

    def run(verb: str, *arguments: str, endpoint: str = "") -> str:
        done = through_codec(verb, *arguments, endpoint=endpoint, cookie=alices_cookie)
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


# Refusals -------------------------------------------------------------------------------------------------------------


def test_query_without_a_cookie_prints_our_sentence(through_codec: Run, payment: str) -> None:
    refused = through_codec("query", "-w", payment, "--type", "progress")
    assert_refused(refused, "Unauthorized", NOT_SIGNED_IN)


def test_query_with_a_made_up_cookie_is_refused(through_codec: Run, payment: str) -> None:
    refused = through_codec("query", "-w", payment, "--type", "progress", cookie=f"__Host-codecsid={'a' * 32}")
    assert_refused(refused, "Unauthorized", SESSION_ENDED)


def test_query_with_a_foreign_origin_is_refused(through_codec: Run, payment: str, alices_cookie: str) -> None:
    origin = "http://localhost:9999"
    refused = through_codec("query", "-w", payment, "--type", "progress", cookie=alices_cookie, origin=origin)
    assert_refused(refused, "Forbidden", WRONG_ORIGIN)


def test_query_without_an_origin_is_refused(cli: Run, codec: Installation, payment: str, alices_cookie: str) -> None:
    header = f"--codec-header=Cookie={alices_cookie}"
    refused = cli("query", "-w", payment, "--type", "progress", "--codec-endpoint", codec.url, header)
    assert_refused(refused, "Forbidden", NO_ORIGIN)


def test_query_without_a_grant_is_refused(through_codec: Run, payment: str, mallorys_cookie: str) -> None:
    refused = through_codec("query", "-w", payment, "--type", "progress", cookie=mallorys_cookie)
    assert_refused(refused, "Forbidden", NO_ACCESS)


def test_signal_without_a_grant_is_refused_and_not_sent(
    through_codec: Run, as_alice: Output, order: str, mallorys_cookie: str
) -> None:
    approval = '{"approver": "Mallory", "remark": "mine"}'
    refused = through_codec("signal", "-w", order, "--name", "approve", "-i", approval, cookie=mallorys_cookie)
    assert_refused(refused, "Forbidden", NO_ACCESS)
    assert "waits for an approval" in as_alice("query", "-w", order, "--type", "progress")


@pytest.mark.parametrize("who", ["nobody", "mallory"])
def test_refused_show_prints_no_plaintext(through_codec: Run, payment: str, mallorys_cookie: str, who: str) -> None:
    cookie = {"nobody": "", "mallory": mallorys_cookie}[who]
    refused = through_codec("show", "-w", payment, "-o", "json", "--command-timeout", "1s", cookie=cookie)
    assert_refused(refused)


def assert_refused(done: "subprocess.CompletedProcess[str]", *sentences: str) -> None:
    assert done.returncode == 1
    assert PAYMENT.payer not in done.stdout + done.stderr
    for sentence in sentences:
        assert sentence in done.stderr

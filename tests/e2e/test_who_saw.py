"""Who has seen this? A workflow as Temporal stores it, before and after alice has read it in the real Web UI."""

import json
import re
import secrets
import subprocess
import sys
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect
from temporalio.client import Client

from demo.background import BackgroundLoop
from demo.codec_server import ROOT, Installation
from demo.dev_server import DevServer, temporal_command
from demo.worker import PAYMENT, make_payment
from tests.e2e.people import Person
from tests.e2e.web_ui import VIEWPORT, Screenshots, WorkflowPage, fill_in

WORKFLOW_ID = "payment-that-alice-reads"
PAGE = "/admin/keys/auditrecord/who-saw/"
SHELL = "from django.contrib.auth.models import Group; from codec.models import User; "


@pytest.fixture(scope="module")
def exported(
    background: BackgroundLoop, client: Client, temporal: DevServer, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """The history of a workflow that nobody has looked at, exported without a codec."""
    make_payment(background, client, WORKFLOW_ID)
    command = [temporal_command(), "workflow", "show", "--address", temporal.address, "--workflow-id", WORKFLOW_ID]
    done = subprocess.run([*command, "--output", "json"], capture_output=True, text=True, check=True, timeout=60)
    file = tmp_path_factory.mktemp("history") / "history.json"
    file.write_text(done.stdout)
    assert PAYMENT.iban not in done.stdout
    return file


@pytest.fixture(scope="module")
def auditor(codec: Installation) -> Person:
    person = Person("audrey", secrets.token_urlsafe(15))
    codec.manage("setup_roles")
    script = f"audrey = User.objects.create_user('audrey', password={person.password!r}, is_staff=True); "
    codec.manage("shell", "-v0", "-c", f"{SHELL}{script}audrey.groups.add(Group.objects.get(name='auditor'))")
    return person


def told(codec: Installation, exported: Path, *arguments: str) -> dict:
    return json.loads(codec.manage("who_saw", str(exported), "--json", *arguments))


def sign_in(page: Page, codec: Installation, person: Person, target: str = "/") -> None:
    page.goto(f"{codec.url}/login/?next={target}")
    fill_in(page, person)
    expect(page).not_to_have_url(re.compile("/login/"))


@pytest.fixture(scope="module")
def read_by_alice(browser: Browser, codec: Installation, ui: str, exported: Path, alice: Person) -> Path:
    """The history after alice has opened the workflow in the Web UI. Before, nobody had seen it."""
    before = told(codec, exported)
    assert before["people"] == []
    assert [payload["kind"] for payload in before["payloads"]].count("sought") > 3
    with browser.new_context(viewport=VIEWPORT) as context:
        page = context.new_page()
        sign_in(page, codec, alice)
        workflow = WorkflowPage(page, ui, WORKFLOW_ID).open()
        expect(workflow.input_and_result()).to_contain_text(PAYMENT.iban)
    return exported


def test_command_tells_what_alice_has_read_in_the_web_ui(codec: Installation, read_by_alice: Path) -> None:
    answer = told(codec, read_by_alice)
    assert [person["name"] for person in answer["people"]] == ["alice"]
    assert told(codec, read_by_alice, "--namespace", "default")["people"] == answer["people"]


def test_auditor_drops_the_history_and_sees_alice_and_her_viewing(
    page: Page, codec: Installation, read_by_alice: Path, auditor: Person, screenshots: Screenshots
) -> None:
    sign_in(page, codec, auditor, PAGE)
    page.locator("input[type=file]").set_input_files(read_by_alice)
    page.get_by_role("button", name="Search").click()
    expect(page.get_by_role("heading", name=re.compile("1 person has seen"))).to_be_visible()
    expect(page.get_by_role("table").first).to_contain_text("alice")
    screenshots.take(page, "9-who-has-seen-this")
    page.get_by_role("table").last.get_by_role("link", name="Viewing").first.click()
    expect(page.get_by_role("heading", name=re.compile("alice read .* default"))).to_be_visible()


def test_auditor_downloads_an_export_that_verifies(
    page: Page, codec: Installation, auditor: Person, tmp_path: Path, screenshots: Screenshots
) -> None:
    sign_in(page, codec, auditor, "/admin/keys/auditrecord/export/")
    screenshots.take(page, "9-export")
    with page.expect_download() as download:
        page.get_by_role("button", name="Download").click()
    archive = tmp_path / "audit.zip"
    download.value.save_as(archive)
    key = codec.manage("audit_public_key").strip()
    script = ROOT / "deploy" / "verify_export.py"
    done = subprocess.run([sys.executable, script, "--key", key, archive], capture_output=True, text=True, check=False)
    assert done.stdout.startswith("OK  "), done

"""The real Temporal Web UI in a real browser: unreadable before sign-in, readable after it, unreadable once revoked."""

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, Response, StorageState, expect

from demo.codec_server import Installation
from demo.dev_server import DevServer
from demo.worker import APPROVAL, MEMO, PAYMENT
from tests.e2e.people import Person
from tests.e2e.read_page import decode, drop, open_event
from tests.e2e.web_ui import (
    CIPHERTEXT,
    NO_QUERY,
    UNCONFIGURED_MESSAGE,
    VIEWPORT,
    Screenshots,
    WorkflowPage,
    fill_in,
    follow_banner_link,
    sign_in_through,
)

NOTE = MEMO["customer_note"]
FAILURE = f"Mailbox of {PAYMENT.email} is full"
KEY_ID_METADATA = re.compile("encryption-key-id")
PLAINTEXT = (PAYMENT.payer, PAYMENT.iban, PAYMENT.email, PAYMENT.amount, APPROVAL.approver, NOTE)


@pytest.fixture
def workflow(page: Page, ui: str, payment: str) -> WorkflowPage:
    """The workflow in the configured Web UI; nobody has signed in."""
    return WorkflowPage(page, ui, payment)


@pytest.fixture(scope="module")
def alices_cookies(browser: Browser, codec: Installation, alice: Person) -> StorageState:
    """What a browser keeps after alice has signed in."""
    with browser.new_context() as context:
        sign_in(context.new_page(), codec, alice)
        return context.storage_state()


@pytest.fixture
def alices_workflow(browser: Browser, alices_cookies: StorageState, ui: str, payment: str) -> Iterator[WorkflowPage]:
    """The workflow in the Web UI of a browser in which alice has signed in."""
    with browser.new_context(viewport=VIEWPORT, storage_state=alices_cookies) as context:
        yield WorkflowPage(context.new_page(), ui, payment).open()


def sign_in(page: Page, codec: Installation, person: Person) -> None:
    page.goto(f"{codec.url}/login/")
    fill_in(page, person)
    expect(page).not_to_have_url(re.compile("/login/"))


def decode_answers(page: Page, codec: Installation) -> list[Response]:
    """Return a list that fills with the codec server's answers while the page is used."""
    answers: list[Response] = []

    def keep(answer: Response) -> None:
        if answer.url.startswith(f"{codec.url}/decode") and answer.request.method == "POST":
            answers.append(answer)

    page.on("response", keep)
    return answers


def assert_unreadable(page: Page) -> None:
    """Nothing on the page, hidden or shown, holds a piece of the payment in clear."""
    shown = "\n".join(frame.content() for frame in page.frames)
    assert [piece for piece in PLAINTEXT if piece in shown] == []


def assert_nothing_reads(workflow: WorkflowPage, screenshots: Screenshots, name: str) -> None:
    """Wherever the UI shows payloads of the workflow, it shows them encrypted."""
    expect(workflow.banner()).to_be_visible()
    places = {
        "input-and-result": (workflow.input_and_result, CIPHERTEXT),
        "failure": (workflow.failure, KEY_ID_METADATA),
        "memo": (workflow.memo, KEY_ID_METADATA),
        "query": (workflow.no_query, NO_QUERY),
    }
    for place, (show, expected) in places.items():
        expect(show()).to_contain_text(expected)
        screenshots.take(workflow.page, f"{name}-{place}")
        assert_unreadable(workflow.page)


# Before sign-in -------------------------------------------------------------------------------------------------------


def test_before_sign_in_the_banner_shows_our_message_and_our_link(
    workflow: WorkflowPage, codec: Installation, ui: str, screenshots: Screenshots
) -> None:
    workflow.open()
    expect(workflow.banner()).to_be_visible()
    expect(workflow.banner_link()).to_have_attribute("href", re.compile(f"^{codec.url}/login/\\?next={ui}/"))
    screenshots.take(workflow.page, "1-before-sign-in-banner")


def test_before_sign_in_every_decode_is_refused(workflow: WorkflowPage, codec: Installation) -> None:
    answers = decode_answers(workflow.page, codec)
    workflow.open()
    expect(workflow.banner()).to_be_visible()
    assert {answer.status for answer in answers} == {401}


def test_before_sign_in_nothing_reads(workflow: WorkflowPage, screenshots: Screenshots) -> None:
    assert_nothing_reads(workflow.open(), screenshots, "2-before-sign-in")


# The way in -----------------------------------------------------------------------------------------------------------


def test_banner_link_leads_to_our_sign_in(
    workflow: WorkflowPage, codec: Installation, screenshots: Screenshots
) -> None:
    sign_in_page = follow_banner_link(workflow.open().page)
    expect(sign_in_page).to_have_url(re.compile(f"^{codec.url}/login/"))
    screenshots.take(sign_in_page, "3-sign-in")


def test_sign_in_leads_back_to_the_web_ui_and_there_the_workflow_reads(
    workflow: WorkflowPage, alice: Person, ui: str, screenshots: Screenshots
) -> None:
    tab = sign_in_through(workflow.open().page, alice)
    expect(tab).to_have_url(re.compile(f"^{ui}/namespaces/default/workflows"))
    expect(tab.get_by_role("link", name="payment-1042").first).to_be_visible()
    screenshots.take(tab, "3-sign-in-and-back-at-the-web-ui")
    expect(workflow.open().input_and_result()).to_contain_text(PAYMENT.payer)


# After sign-in --------------------------------------------------------------------------------------------------------


def test_after_sign_in_input_and_result_read(alices_workflow: WorkflowPage, screenshots: Screenshots) -> None:
    expect(alices_workflow.input_and_result()).to_contain_text(PAYMENT.iban)
    expect(alices_workflow.input_and_result()).to_contain_text(f"Booking of {PAYMENT.amount}")
    expect(alices_workflow.banner()).not_to_be_visible()
    screenshots.take(alices_workflow.page, "4-after-sign-in-input-and-result")


def test_after_sign_in_the_memo_reads(alices_workflow: WorkflowPage, screenshots: Screenshots) -> None:
    expect(alices_workflow.memo()).to_contain_text(NOTE)
    screenshots.take(alices_workflow.page, "4-after-sign-in-memo")


def test_after_sign_in_the_summary_reads(alices_workflow: WorkflowPage, screenshots: Screenshots) -> None:
    expect(alices_workflow.summary()).to_contain_text(f"Payment of {PAYMENT.amount} by {PAYMENT.payer}")
    screenshots.take(alices_workflow.page, "4-after-sign-in-summary")


def test_after_sign_in_the_query_result_reads(alices_workflow: WorkflowPage, screenshots: Screenshots) -> None:
    expect(alices_workflow.query_result()).to_contain_text(f"{PAYMENT.payer} has paid {PAYMENT.amount}")
    screenshots.take(alices_workflow.page, "4-after-sign-in-query")


def test_after_sign_in_the_encoded_failure_reads(alices_workflow: WorkflowPage, screenshots: Screenshots) -> None:
    failure = alices_workflow.failure()
    expect(failure).to_contain_text(FAILURE)
    failure.get_by_text("encodedAttributes").scroll_into_view_if_needed()
    screenshots.take(alices_workflow.page, "4-after-sign-in-failure")


def test_history_that_the_ui_downloads_encoded_reads_on_our_read_page(
    alices_workflow: WorkflowPage, codec: Installation
) -> None:
    downloaded = alices_workflow.download()
    assert PAYMENT.iban not in downloaded
    page = alices_workflow.page.context.new_page()
    page.goto(f"{codec.url}/read/")
    drop(page, downloaded)
    decode(page)
    expect(open_event(page, "Workflow execution started")).to_contain_text(PAYMENT.iban)


# Without a grant ------------------------------------------------------------------------------------------------------


def test_after_the_grant_is_revoked_a_reload_reads_nothing(
    workflow: WorkflowPage, codec: Installation, bob: Person, screenshots: Screenshots
) -> None:
    sign_in(workflow.page, codec, bob)
    expect(workflow.open().input_and_result()).to_contain_text(PAYMENT.payer)
    codec.manage("revoke", "bob", "default", "--reason", "end-to-end test")
    workflow.page.reload()
    assert_nothing_reads(workflow, screenshots, "5-after-revocation")


def test_person_without_a_grant_signs_in_and_reads_nothing(
    workflow: WorkflowPage, codec: Installation, mallory: Person, screenshots: Screenshots
) -> None:
    sign_in(workflow.page, codec, mallory)
    assert_nothing_reads(workflow.open(), screenshots, "6-without-a-grant")


# The browser's own setting --------------------------------------------------------------------------------------------


def test_the_browsers_own_setting_reads_after_sign_in(
    page: Page, temporal: DevServer, codec: Installation, payment: str, alice: Person, screenshots: Screenshots
) -> None:
    workflow = WorkflowPage(page, temporal.ui_url, payment).open()
    workflow.use_browser_setting(codec.url)
    screenshots.take(page, "7-browser-setting")
    workflow.apply_browser_setting()
    workflow.open()
    expect(workflow.banner(UNCONFIGURED_MESSAGE)).to_be_visible()
    assert_unreadable(page)
    sign_in(page, codec, alice)
    expect(workflow.open().input_and_result()).to_contain_text(PAYMENT.payer)
    screenshots.take(page, "7-browser-setting-after-sign-in")
    assert stored_setting(page) == ["true", "true", f'"{codec.url}"']


def stored_setting(page: Page) -> list[str]:
    keys = ("overrideRemoteCodecConfiguration", "includeCredentials", "endpoint")
    return [page.evaluate("key => localStorage.getItem(key)", key) for key in keys]

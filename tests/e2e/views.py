"""Every page that there is, each in the states in which it looks different, with the person whose page it is."""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from playwright.sync_api import Page, expect

from tests.e2e.people import Person
from tests.e2e.web_ui import fill_in

NOBODY = ""
EVENTS = 8

# Names of URLs that lead to no page: what they do is tested elsewhere.
NO_PAGES = {
    *("connect_seen", "read_part", "healthz", "readyz", "admin:jsi18n", "admin:autocomplete"),  # for scripts
    *("logout", "end_session", "end_all_sessions", "withdraw_request"),  # take a form, and lead back to a page
    *("sso", "sso_callback", "admin:login", "admin:logout", "admin:view_on_site"),  # lead elsewhere
    "admin:keys_viewing_report_file",
}

# Addresses that the admin has of itself, for what nobody may: records are added by acts, and not taken away.
REFUSED = {
    "admin:codec_accessrequest_add": "/admin/codec/accessrequest/add/",
    "admin:codec_accessrequest_delete": "/admin/codec/accessrequest/{accessrequest}/delete/",
    "admin:codec_apitoken_add": "/admin/codec/apitoken/add/",
    "admin:codec_apitoken_delete": "/admin/codec/apitoken/{apitoken}/delete/",
    "admin:codec_grant_delete": "/admin/codec/grant/{grant}/delete/",
    "admin:codec_namespacepolicy_delete": "/admin/codec/namespacepolicy/{namespacepolicy}/delete/",
    "admin:codec_service_delete": "/admin/codec/service/{service}/delete/",
    "admin:codec_user_delete": "/admin/codec/user/{user}/delete/",
    "admin:keys_auditrecord_add": "/admin/keys/auditrecord/add/",
    "admin:keys_auditrecord_delete": "/admin/keys/auditrecord/{auditrecord}/delete/",
    "admin:keys_keyversion_add": "/admin/keys/keyversion/add/",
    "admin:keys_keyversion_delete": "/admin/keys/keyversion/{primary}/delete/",
    "admin:keys_namespace_delete": "/admin/keys/namespace/{namespace}/delete/",
}


@dataclass(frozen=True, slots=True)
class Site:
    """An installation: the primary keys of what is in it, and a payload of `payments` as Temporal has it."""

    url: str
    rows: Mapping[str, int]
    payload: Mapping[str, Any]


def leave(page: Page, site: Site) -> None:
    """Leave the page as it opens."""


@dataclass(frozen=True, slots=True)
class View:
    """A page in one state. Its path names rows in braces; `prepare` brings it into the state."""

    name: str
    who: str
    path: str
    prepare: Callable[[Page, Site], None] = leave


# States ---------------------------------------------------------------------------------------------------------------


def submit_wrong_password(page: Page, site: Site) -> None:
    fill_in(page, Person("alice", "not the password"))
    expect(page.get_by_role("alert")).to_be_visible()


def submit_without_cookie(page: Page, site: Site) -> None:
    page.context.clear_cookies()
    fill_in(page, Person("alice", "x"))
    expect(page.locator("main")).to_contain_text("expired")


def submit(page: Page, site: Site) -> None:
    """Send the page's form as it is: what it lacks, it then says."""
    form = page.locator("main form:not(#changelist-search)").first
    with page.expect_navigation():
        form.evaluate("form => { form.noValidate = true; setTimeout(() => form.requestSubmit()) }")


def make_token(page: Page, site: Site) -> None:
    page.locator("input[name=name]").fill("CI")
    page.locator("input[name=decode]").check()
    page.locator("input[name=reach][value=every]").check()
    submit(page, site)


def deny_without_note(page: Page, site: Site) -> None:
    page.get_by_role("button", name="Deny").click()
    expect(page.locator("main")).to_contain_text("Say why, in a note to who asked.")


def read_history(page: Page, site: Site) -> None:
    _read(page, {"events": [_event(number, site) for number in range(1, EVENTS + 1)]})
    expect(page.locator("#result .parts > li")).to_have_count(EVENTS)
    page.locator("#result summary").nth(1).click()
    expect(page.locator("#result mark")).to_be_visible()


def read_payload(page: Page, site: Site) -> None:
    _read(page, site.payload)
    expect(page.locator("#result mark")).to_be_visible()


def read_garbage(page: Page, site: Site) -> None:
    _read(page, "{")
    expect(page.get_by_role("alert")).to_be_visible()


def ask_who_saw(page: Page, site: Site) -> None:
    page.locator("main textarea").fill(json.dumps(site.payload))
    submit(page, site)
    expect(page.locator("main")).to_contain_text("alice")


def _read(page: Page, document: Any) -> None:
    page.get_by_label("JSON").fill(document if isinstance(document, str) else json.dumps(document))
    page.get_by_role("button", name="Decode", exact=True).click()


def _event(number: int, site: Site) -> dict[str, Any]:
    attributes = {"signalName": "approve", "input": {"payloads": [site.payload]}} if number % 2 == 0 else {}
    return {
        "eventId": str(number),
        "eventType": "EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED" if attributes else "EVENT_TYPE_WORKFLOW_TASK_SCHEDULED",
        "workflowExecutionSignaledEventAttributes": attributes,
    }


# Pages ----------------------------------------------------------------------------------------------------------------

_MODELS = {  # what the admin lists -> the row that is looked at
    "auth/group": "group",
    "codec/accessrequest": "accessrequest",
    "codec/apitoken": "apitoken",
    "codec/grant": "grant",
    "codec/groupmapping": "groupmapping",
    "codec/identity": "identity",
    "codec/invitation": "invitation",
    "codec/namespacepolicy": "namespacepolicy",
    "codec/service": "service",
    "codec/user": "user",
    "keys/keyversion": "primary",
    "keys/namespace": "namespace",
}
_DELETED = ("auth/group", "codec/groupmapping", "codec/identity", "codec/invitation")
_ADDED = (
    "auth/group",
    "codec/grant",
    "codec/groupmapping",
    "codec/identity",
    "codec/invitation",
    "codec/namespacepolicy",
    "codec/service",
)


def _of_the_admin() -> Iterator[View]:
    for model, row in _MODELS.items():
        name = f"admin-{model.rpartition('/')[2]}"
        yield View(f"{name}-list", "bob", f"/admin/{model}/")
        yield View(name, "bob", f"/admin/{model}/{{{row}}}/change/")
        yield View(f"{name}-history", "bob", f"/admin/{model}/{{{row}}}/history/")
    for model in _DELETED:
        row = _MODELS[model]
        yield View(f"admin-{row}-delete", "bob", f"/admin/{model}/{{{row}}}/delete/")
    for model in (*_ADDED, "codec/user", "keys/namespace"):
        name = f"admin-{model.rpartition('/')[2]}-add"
        yield View(name, "bob", f"/admin/{model}/add/")
        yield View(f"{name}-errors", "bob", f"/admin/{model}/add/", submit)


VIEWS = [
    View("sign-in", NOBODY, "/login/"),
    View("sign-in-wrong", NOBODY, "/login/", submit_wrong_password),
    View("sign-in-expired", NOBODY, "/login/", submit_without_cookie),
    View("not-found", NOBODY, "/connect/nowhere/"),
    View("home-of-a-reader", "alice", "/"),
    View("home-of-an-approver", "erin", "/"),
    View("home-of-a-newcomer", "mallory", "/"),
    View("home-in-an-emergency", "olga", "/"),
    View("connect", "alice", "/connect/"),
    View("connect-of-a-newcomer", "mallory", "/connect/"),
    View("read", "alice", "/read/"),
    View("read-history", "alice", "/read/", read_history),
    View("read-payload", "alice", "/read/", read_payload),
    View("read-garbage", "alice", "/read/", read_garbage),
    View("read-of-a-newcomer", "mallory", "/read/"),
    View("tokens", "alice", "/tokens/"),
    View("tokens-errors", "alice", "/tokens/", submit),
    View("token-made", "alice", "/tokens/", make_token),
    View("tokens-of-a-newcomer", "mallory", "/tokens/"),
    View("token-revoke", "alice", "/tokens/{apitoken}/revoke/"),
    View("service-token", "erin", "/services/{service}/tokens/"),
    View("sessions", "alice", "/sessions/"),
    View("password", "alice", "/password/"),
    View("password-errors", "alice", "/password/", submit),
    View("request-access", "mallory", "/access/request/"),
    View("request-access-errors", "mallory", "/access/request/", submit),
    View("answer", "erin", "/access/requests/{accessrequest}/"),
    View("answer-errors", "erin", "/access/requests/{accessrequest}/", deny_without_note),
    View("break-glass", "olga", "/access/break-glass/"),
    View("break-glass-not-for-you", "mallory", "/access/break-glass/"),
    View("forbidden", "mallory", "/admin/"),
    View("admin", "bob", "/admin/"),
    View("admin-of-an-approver", "erin", "/admin/"),
    View("admin-of-a-custodian", "keith", "/admin/"),
    View("admin-of-an-auditor", "carol", "/admin/"),
    View("admin-password", "keith", "/admin/password_change/"),
    View("admin-password-changed", "keith", "/admin/password_change/done/"),
    View("admin-app", "bob", "/admin/codec/"),
    View("admin-not-found", "bob", "/admin/nowhere/"),
    *_of_the_admin(),
    View("admin-nothing-found", "bob", "/admin/codec/grant/?q=zzz"),
    View("admin-grant-revoke", "bob", "/admin/codec/grant/{grant}/revoke/"),
    View("admin-grants-give", "bob", "/admin/codec/grant/give/?users={user}"),
    View("admin-grants-revoke", "bob", "/admin/codec/grant/revoke/?ids={grant}"),
    View("admin-token-revoke", "bob", "/admin/codec/apitoken/{apitoken}/revoke/"),
    View("admin-user-end-sessions", "bob", "/admin/codec/user/{user}/end_sessions/"),
    View("admin-user-password", "bob", "/admin/codec/user/{user}/password/"),
    View("admin-namespace-of-a-custodian", "keith", "/admin/keys/namespace/{namespace}/change/"),
    View("admin-namespace-rotate", "keith", "/admin/keys/namespace/{namespace}/rotate/"),
    View("admin-namespace-rotate-errors", "keith", "/admin/keys/namespace/{namespace}/rotate/", submit),
    View("admin-namespace-publish", "keith", "/admin/keys/namespace/{namespace}/publish/"),
    View("admin-namespace-retire", "keith", "/admin/keys/namespace/{namespace}/retire/"),
    View("admin-namespace-restore", "keith", "/admin/keys/namespace/{retired}/restore/"),
    View("admin-key-promote", "keith", "/admin/keys/keyversion/{former}/promote/"),
    View("admin-key-disable", "keith", "/admin/keys/keyversion/{former}/disable/"),
    View("admin-key-enable", "keith", "/admin/keys/keyversion/{disabled}/enable/"),
    View("admin-key-destroy", "keith", "/admin/keys/keyversion/{former}/schedule_destruction/"),
    View("admin-key-cancel", "keith", "/admin/keys/keyversion/{doomed}/cancel_destruction/"),
    View("audit", "carol", "/admin/keys/auditrecord/"),
    View("audit-record", "carol", "/admin/keys/auditrecord/{auditrecord}/change/"),
    View("audit-record-history", "carol", "/admin/keys/auditrecord/{auditrecord}/history/"),
    View("audit-who-saw", "carol", "/admin/keys/auditrecord/who-saw/"),
    View("audit-who-saw-answer", "carol", "/admin/keys/auditrecord/who-saw/", ask_who_saw),
    View("audit-export", "carol", "/admin/keys/auditrecord/export/"),
    View("viewings", "carol", "/admin/keys/viewing/"),
    View("viewing", "carol", "/admin/keys/viewing/{viewing}/change/"),
    View("viewings-report", "carol", "/admin/keys/viewing/report/"),
]

"""Who may search and export, and what the export page sends."""

import csv
import io
import json
import subprocess
import sys
import zipfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from django.contrib.auth.models import Group

from codec.models import User
from keys import checkpoints
from keys.group_commit import GroupCommit
from keys.models import AuditRecord
from tests.audit_lines import decoded
from tests.commands import manage
from tests.conftest import CodecClient, signed_in

PAGES = ["/admin/keys/auditrecord/who-saw/", "/admin/keys/auditrecord/export/"]
EXPORT = PAGES[1]
SCRIPT = Path(__file__).parents[2] / "deploy" / "verify_export.py"
DAY = datetime(2026, 1, 10, tzinfo=UTC)
PERIOD = {"since": "2026-01-10", "until": "2026-01-11", "format": "jsonl"}


def member_of(role: str) -> CodecClient:
    manage("setup_roles")
    carol = User.objects.create_user("carol", is_staff=True)
    carol.groups.add(Group.objects.get(name=role))
    return signed_in(carol)


@pytest.mark.parametrize("page", PAGES)
class TestWhoMayOpenIt:
    def test_auditor_may(self, db, page):
        assert member_of("auditor").get(page).status_code == 200

    @pytest.mark.parametrize("role", ["key custodian", "grant approver"])
    def test_other_roles_may_not(self, db, page, role):
        carol = member_of(role)
        assert [carol.get(page).status_code, carol.post(page, PERIOD).status_code] == [403, 403]

    def test_reader_of_payloads_may_not(self, browser, page):
        assert browser.get(page, follow=True).status_code == 403

    def test_visitor_is_asked_to_sign_in(self, db, page):
        assert CodecClient().get(page, follow=True).redirect_chain[-1][0].startswith("/login/")

    def test_it_is_linked_from_the_records(self, db, page):
        assert page in member_of("auditor").get("/admin/keys/auditrecord/").content.decode()


def number_told(query: str) -> int:
    page = member_of("auditor").get(f"/admin/keys/auditrecord/{query}")
    return int(page.context["cl"].result_count)


def test_list_of_records_tells_how_many_there_are(db):
    decoded(GroupCommit(), DAY)
    assert number_told("") == AuditRecord.objects.count() > 1


def test_filtered_list_tells_how_many_it_finds(db):
    decoded(GroupCommit(), DAY)
    assert number_told("?action__exact=payload:decoded") == 1


@pytest.fixture
def records(db) -> None:
    """One record a day, from the 9th to the 12th, on the 11th in `refunds`."""
    writer = GroupCommit()
    for day in range(-1, 3):
        decoded(writer, DAY + timedelta(days=day), namespace="refunds" if day == 1 else "payments")


def archive(client: CodecClient, **form: str) -> zipfile.ZipFile:
    answer = client.post(EXPORT, PERIOD | form)
    assert answer["Content-Type"] == "application/zip"
    return zipfile.ZipFile(io.BytesIO(b"".join(answer.streaming_content)))


def test_days_of_the_period_are_all_in_it(bobs_browser, records):
    lines = archive(bobs_browser).read("audit.jsonl").splitlines()
    assert [json.loads(line)["at"][:10] for line in lines] == ["2026-01-10", "2026-01-11"]


def test_namespace_and_person_narrow_it_down(bobs_browser, records):
    assert len(archive(bobs_browser, namespace="refunds").read("audit.jsonl").splitlines()) == 1
    assert len(archive(bobs_browser, person="nobody").read("audit.jsonl").splitlines()) == 0


def test_archive_verifies(bobs_browser, records, tmp_path):
    answer = bobs_browser.post(EXPORT, PERIOD)
    assert answer["Content-Disposition"] == 'attachment; filename="audit-2026-01-10-2026-01-11.zip"'
    (tmp_path / "audit.zip").write_bytes(b"".join(answer.streaming_content))
    command = [sys.executable, "-I", str(SCRIPT), "--key", checkpoints.public_key(), str(tmp_path / "audit.zip")]
    assert subprocess.run(command, capture_output=True, check=False).returncode == 0


def test_spreadsheet_gets_csv(bobs_browser, records):
    rows = list(csv.DictReader(io.StringIO(archive(bobs_browser, format="csv").read("audit.csv").decode())))
    assert [row["namespace"] for row in rows] == ["payments", "refunds"]


def test_siem_gets_ocsf(bobs_browser, records):
    lines = archive(bobs_browser, format="ocsf").read("audit.ocsf.jsonl").splitlines()
    assert {json.loads(line)["class_uid"] for line in lines} == {6003}


def test_download_is_recorded_under_the_auditor(bobs_browser, records):
    bobs_browser.post(EXPORT, PERIOD)
    record = AuditRecord.objects.get(action="audit:exported")
    assert (record.actor_name, record.details["from"]) == ("bob", "2026-01-10T00:00:00+00:00")


def test_download_that_cannot_be_recorded_sends_nothing(bobs_browser, records, audit_unwritable):
    bobs_browser.raise_request_exception = False
    answer = bobs_browser.post(EXPORT, PERIOD)
    assert (answer.status_code, answer.streaming) == (500, False)


@pytest.mark.parametrize(
    "wrong", [{"since": ""}, {"until": "soon"}, {"since": "2026-02-01"}, {"format": "xml"}, {"until": "2026-13-01"}]
)
def test_period_that_is_none_is_asked_for_again(bobs_browser, records, wrong):
    answer = bobs_browser.post(EXPORT, PERIOD | wrong)
    assert b'class="notice bad"' in answer.content
    assert not AuditRecord.objects.filter(action="audit:exported").exists()


def test_page_shows_the_public_key(bobs_browser):
    assert checkpoints.public_key() in bobs_browser.get(EXPORT).content.decode()

"""The commands about keys: what they do and say, and each refusal as one sentence."""

import base64
import os

import pytest
from django.core.management import CommandError

from keys.models import AuditRecord, Namespace
from keys.rotation import rotate_key
from tests import canary
from tests.commands import manage
from tests.conftest import OPERATOR

SAMPLE_KEY = b"test-key-test-key-test-key-test!"


def in_base64(key: bytes) -> bytes:
    return base64.b64encode(key) + b"\n"


@pytest.fixture
def sentence():
    """Return a function that runs a command to be refused, and gives its one sentence."""

    def refusal(*arguments: str, stdin: bytes = b"") -> str:
        with pytest.raises(CommandError) as refused:
            manage(*arguments, stdin=stdin)
        text = str(refused.value)
        assert text.endswith(".")
        assert "\n" not in text
        return text

    return refusal


# create_namespace -----------------------------------------------------------------------------------------------------


def test_create_namespace_says_which_key_it_made(db):
    printed = manage("create_namespace", "payroll")
    version = Namespace.objects.get(name="payroll").key_versions.get()
    assert printed == f"Created namespace payroll with key {version.key_id}.\n"


def test_create_namespace_records_the_operator(db):
    manage("create_namespace", "payroll")
    assert set(AuditRecord.objects.values_list("actor_kind", flat=True)) == {"command"}


def test_create_namespace_refuses_a_bad_name(db, sentence):
    assert "letters" in sentence("create_namespace", "a b")


def test_create_namespace_refuses_a_taken_name(payments, sentence):
    assert sentence("create_namespace", "payments") == "There is a namespace payments already."


def test_create_namespace_refuses_without_a_kek(db, sentence, settings, tmp_path):
    settings.CODEC_KEK = f"local:{tmp_path / 'kek'}"
    assert "cannot be read" in sentence("create_namespace", "payroll")


# rotate_key -----------------------------------------------------------------------------------------------------------


def test_rotate_key_says_which_key_encodes_now(payments):
    printed = manage("rotate_key", "payments", "--reason", "yearly")
    assert printed == f"payments now encodes with key {payments.key_versions.get(is_primary=True).key_id}.\n"


def test_rotate_key_records_operator_and_reason(payments):
    manage("rotate_key", "payments", "--reason", "yearly")
    record = AuditRecord.objects.latest("id")
    assert (record.actor_kind, record.details["reason"]) == ("command", "yearly")


def test_rotate_key_asks_for_a_reason(payments):
    with pytest.raises(CommandError, match="--reason"):
        manage("rotate_key", "payments")


def test_rotate_key_refuses_an_empty_reason(payments, sentence):
    assert sentence("rotate_key", "payments", "--reason", " ") == "Say why, in a few words."


def test_rotate_key_refuses_an_unknown_namespace(db, sentence):
    assert sentence("rotate_key", "nowhere", "--reason", "test") == "There is no namespace nowhere."


# import_key -----------------------------------------------------------------------------------------------------------


def test_import_key_takes_a_key_for_decoding(payments):
    printed = manage("import_key", "payments", "worker", stdin=in_base64(canary.DATA_KEY))
    assert printed == "Imported key worker into payments for decoding.\n"
    assert not payments.key_versions.get(key_id="worker").is_primary


def test_import_key_takes_a_key_as_primary(payments):
    printed = manage("import_key", "payments", "worker", "--primary", stdin=in_base64(canary.DATA_KEY))
    assert printed == "Imported key worker into payments as primary.\n"
    assert payments.key_versions.get(is_primary=True).key_id == "worker"


def test_import_key_prints_no_key(payments):
    key_id = canary.DATA_KEY.decode()
    printed = manage("import_key", "payments", key_id, stdin=in_base64(canary.DATA_KEY))
    canary.check("what import_key prints", printed)
    assert "java-sample-" in printed


def test_import_key_warns_of_the_key_that_temporal_publishes(payments):
    printed = manage("import_key", "payments", "test-key-id", stdin=in_base64(SAMPLE_KEY))
    assert printed.startswith("Warning: this is the key that Temporal's samples publish.")
    assert payments.key_versions.filter(key_id="test-key-id").exists()


def test_import_key_does_not_warn_of_other_keys(payments):
    assert "Warning" not in manage("import_key", "payments", "worker", stdin=in_base64(os.urandom(32)))


@pytest.mark.parametrize(
    "stdin",
    [b"not base64!", b"YQ", "schlüssel".encode(), b"\xff\xfe" + bytes(30), in_base64(canary.DATA_KEY)[:20] + b" x"],
)
def test_import_key_refuses_what_is_no_base64(payments, sentence, stdin):
    assert sentence("import_key", "payments", "worker", stdin=stdin) == "Standard input holds no key in base64."


@pytest.mark.parametrize("stdin", [b"", b"\n", in_base64(b"short"), in_base64(canary.DATA_KEY[:31])])
def test_import_key_refuses_a_key_of_another_length(payments, sentence, stdin):
    refused = sentence("import_key", "payments", "worker", stdin=stdin)
    assert refused == "The key must be exactly 32 bytes, given in base64."


def test_import_key_refuses_a_key_that_is_not_random(payments, sentence):
    assert "random" in sentence("import_key", "payments", "worker", stdin=in_base64(bytes(32)))


def test_import_key_refuses_a_taken_id(payments, canary_key, sentence):
    refused = sentence("import_key", "payments", "canary", stdin=in_base64(os.urandom(32)))
    assert refused == "The namespace payments has, or had, a key canary already."


def test_import_key_refuses_an_unknown_namespace(db, sentence):
    refused = sentence("import_key", "nowhere", "worker", stdin=in_base64(os.urandom(32)))
    assert refused == "There is no namespace nowhere."


def test_import_key_refuses_a_key_that_names_itself_as_primary(payments, sentence):
    key_id = canary.DATA_KEY.decode()
    refused = sentence("import_key", "payments", key_id, "--primary", stdin=in_base64(canary.DATA_KEY))
    canary.check("the refusal", refused)
    assert "must not encode" in refused


# list_keys ------------------------------------------------------------------------------------------------------------


def test_list_keys_shows_each_version_and_which_is_primary(payments, canary_key):
    newest, oldest = manage("list_keys").splitlines()
    assert newest.split()[:5] == ["payments", "2", "canary", "ENABLED", "primary"]
    assert oldest.split()[1:5] == ["1", payments.key_versions.get(number=1).key_id, "ENABLED", "generated"]


def test_list_keys_shows_no_material(payments, canary_key):
    printed = manage("list_keys")
    canary.check("what list_keys prints", printed)
    assert bytes(canary_key.wrapped).hex()[:16] not in printed
    assert bytes(canary_key.check_value).hex() not in printed


def test_list_keys_of_one_namespace_leaves_out_the_others(payments):
    manage("create_namespace", "payroll")
    assert {line.split()[0] for line in manage("list_keys", "payroll").splitlines()} == {"payroll"}


def test_list_keys_shows_versions_newest_first(payments):
    rotate_key(payments, actor=OPERATOR, reason="test")
    assert [line.split()[1] for line in manage("list_keys", "payments").splitlines()] == ["2", "1"]


def test_list_keys_refuses_an_unknown_namespace(db, sentence):
    assert sentence("list_keys", "nowhere") == "There is no namespace nowhere."

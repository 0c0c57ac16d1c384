"""AWS KMS: what it is asked, what its answers mean, and that its client logs no key. moto stands for AWS; what moto
does otherwise (it decrypts with a disabled key) comes from botocore's Stubber."""

import base64
import logging

import pytest
from botocore.stub import Stubber

from keys.wrapping import awskms, provider_of
from keys.wrapping.awskms import AwsKmsKek
from keys.wrapping.base import Binding, KekDenied, KekUnavailable, UnwrapRefused
from tests import canary
from tests.kms import REGION, Keks, Kms

BINDING = Binding("payments", "7-abcdefgh", 7)
DATA_KEY = canary.DATA_KEY
ARN = f"arn:aws:kms:{REGION}:123456789012:key/0f7c1c1e-2a3b-4c5d-8e9f-000000000000"
OTHER_ARN = ARN.replace("0f7c", "ffff")


@pytest.fixture
def key() -> AwsKmsKek:
    """A KEK whose answers a test makes up."""
    return AwsKmsKek(f"{ARN}?endpoint=http://127.0.0.1:9")


@pytest.fixture
def answers(key, monkeypatch):
    """What AWS KMS will answer to `key`, one after the other."""
    awskms._client.cache_clear()
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    with Stubber(key._client) as stub:
        yield stub
        stub.assert_no_pending_responses()
    awskms._client.cache_clear()


# What it is asked -----------------------------------------------------------------------------------------------------


CONTEXT = {"purpose": "codec-kek-v1", "namespace": "payments", "key_id": "7-abcdefgh", "number": "7", "kek_id": ARN}


def test_wrap_binds_the_row_and_the_kek_as_encryption_context(key, answers):
    asked = {"KeyId": ARN, "Plaintext": DATA_KEY, "EncryptionContext": CONTEXT}
    answers.add_response("encrypt", {"CiphertextBlob": b"blob", "KeyId": ARN}, asked)
    assert key.wrap(DATA_KEY, BINDING) == (ARN, b"blob")


def test_unwrap_names_the_key_and_the_context(key, answers):
    asked = {"KeyId": ARN, "CiphertextBlob": b"blob", "EncryptionContext": CONTEXT}
    answers.add_response("decrypt", {"Plaintext": DATA_KEY, "KeyId": ARN}, asked)
    assert key.unwrap(ARN, b"blob", BINDING) == DATA_KEY


def test_key_that_the_database_names_but_not_the_configuration_is_not_asked(key, answers):
    assert not key.holds(OTHER_ARN)
    with pytest.raises(KekUnavailable):
        key.unwrap(OTHER_ARN, b"blob", BINDING)


@pytest.mark.parametrize("kek_id", ["local-1a2b3c4d", "pkcs11:token=codec;object=kek", "", "alias/codec"])
def test_kek_id_of_another_provider_costs_no_call(kek_id):
    assert not AwsKmsKek("alias/codec?endpoint=http://127.0.0.1:9&region=x").holds(kek_id)


def test_region_comes_from_the_arn_unless_it_is_given(key):
    assert key._client.meta.region_name == REGION
    assert AwsKmsKek(f"{ARN}?region=us-west-2")._client.meta.region_name == "us-west-2"


def test_no_call_waits_long(key):
    config = key._client.meta.config
    assert (config.connect_timeout, config.read_timeout) == (2, 3)
    assert config.retries["total_max_attempts"] == 2


# Aliases --------------------------------------------------------------------------------------------------------------


@pytest.fixture
def alias(kms: Kms) -> Kms:
    kms.client().create_alias(AliasName="alias/codec", TargetKeyId=kms.new_key())
    yield kms
    kms.client().delete_alias(AliasName="alias/codec")


def test_keys_are_stored_under_the_arn_that_the_alias_stands_for(alias):
    kek_id, wrapped = provider_of(alias.uri("alias/codec")).wrap(DATA_KEY, BINDING)
    assert kek_id == alias.client().describe_key(KeyId="alias/codec")["KeyMetadata"]["Arn"]
    assert provider_of(alias.uri(kek_id)).unwrap(kek_id, wrapped, BINDING) == DATA_KEY


def test_alias_pointed_elsewhere_holds_the_new_key_only(alias):
    old, _ = provider_of(alias.uri("alias/codec")).wrap(DATA_KEY, BINDING)
    alias.client().update_alias(AliasName="alias/codec", TargetKeyId=(new := alias.new_key()))
    moved = provider_of(alias.uri("alias/codec"))
    assert (moved.holds(old), moved.holds(new)) == (False, True)


def test_unknown_alias_is_unavailable(kms):
    with pytest.raises(KekUnavailable, match="NotFoundException"):
        provider_of(kms.uri("alias/nowhere")).primary_id()


# What the answers mean ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "code",
    [
        "DisabledException",
        "KMSInvalidStateException",
        "NotFoundException",
        "KeyUnavailableException",
        "DependencyTimeoutException",
        "KMSInternalException",
        "UnrecognizedClientException",
        "ExpiredTokenException",
    ],
)
def test_key_that_cannot_be_used_is_unavailable(key, answers, code):
    answers.add_client_error("decrypt", code)
    answers.add_client_error("encrypt", code)
    with pytest.raises(KekUnavailable, match=code):
        key.unwrap(ARN, b"blob", BINDING)
    with pytest.raises(KekUnavailable, match=code):
        key.wrap(DATA_KEY, BINDING)


@pytest.mark.parametrize("code", ["InvalidCiphertextException", "IncorrectKeyException"])
def test_key_wrapped_otherwise_is_refused(key, answers, code):
    answers.add_client_error("decrypt", code)
    with pytest.raises(UnwrapRefused, match=code):
        key.unwrap(ARN, b"blob", BINDING)


def test_missing_permission_is_denied_so_that_other_namespaces_go_on(key, answers):
    answers.add_client_error("decrypt", "AccessDeniedException")
    with pytest.raises(KekDenied):
        key.unwrap(ARN, b"blob", BINDING)


def test_throttling_is_tried_again_once_then_unavailable(kms_keks, monkeypatch):
    provider = provider_of(kms_keks.first)
    sent = []
    provider._client.meta.events.register("before-send.kms", lambda request, **_: sent.append(1) or throttled())
    try:
        with pytest.raises(KekUnavailable, match="ThrottlingException"):
            provider.wrap(DATA_KEY, BINDING)
    finally:
        awskms._client.cache_clear()
    assert len(sent) == 2


def throttled():
    from botocore.awsrequest import AWSResponse

    body = b'{"__type": "ThrottlingException"}'
    answer = AWSResponse("http://127.0.0.1", 400, {}, None)
    answer._content = body
    return answer


def test_nobody_there_is_unavailable(monkeypatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    with pytest.raises(KekUnavailable, match="EndpointConnectionError"):
        AwsKmsKek(f"{ARN}?endpoint=http://127.0.0.1:9").wrap(DATA_KEY, BINDING)


def test_no_region_is_unavailable(monkeypatch):
    monkeypatch.delenv("AWS_DEFAULT_REGION", raising=False)
    with pytest.raises(KekUnavailable, match="NoRegionError"):
        AwsKmsKek("alias/codec").primary_id()


# The URI --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "rest",
    [
        "?region=x",
        "alias/codec?profile=x",
        "alias/codec with blanks",
        "alias/codec?endpoint=http://kms.example.com",
        "alias/codec?endpoint=ftp://127.0.0.1",
        "alias/codec?endpoint=http://127.0.0.1@kms.example.com",
        "a" * 256,
    ],
)
def test_uri_that_is_wrong_or_unsafe_is_refused(rest):
    with pytest.raises(KekUnavailable, match=r"awskms: (URI|KEK)|CODEC_KEK"):
        AwsKmsKek(rest)


@pytest.mark.parametrize("endpoint", ["https://kms.example.com", "http://127.0.0.1:4566", "http://[::1]:4566"])
def test_endpoint_over_tls_or_on_this_machine_is_taken(endpoint):
    AwsKmsKek(f"alias/codec?endpoint={endpoint}")


def test_endpoint_of_the_environment_must_be_safe_too(monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://kms.example.com")
    with pytest.raises(KekUnavailable, match="must be https"):
        AwsKmsKek("alias/codec?region=eu-west-1").primary_id()


# Logs -----------------------------------------------------------------------------------------------------------------


def test_client_logs_no_key_at_any_level(kms_keks: Keks, caplog):
    caplog.set_level(logging.DEBUG)
    ring = kms_keks.ring(kms_keks.first)
    ring.unwrap(*ring.wrap(DATA_KEY, BINDING), BINDING)
    assert base64.b64encode(DATA_KEY).decode()[:16] not in caplog.text


def test_client_would_log_the_key_without_our_care(kms_keks: Keks, caplog):
    """The test above would notice: at DEBUG, botocore writes the request."""
    caplog.set_level(logging.DEBUG, logger="botocore")
    kms_keks.ring(kms_keks.first).wrap(bytes(range(32)), BINDING)
    assert base64.b64encode(bytes(range(32))).decode()[:16] in caplog.text

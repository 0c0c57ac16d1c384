"""A symmetric key in AWS KMS: `awskms:alias/codec`, `awskms:<key ARN>`, with `?region=…&endpoint=…` when needed.

The KEK id is the key's ARN. A wrapped key is the CiphertextBlob of KMS `Encrypt`, as it came. It is bound by
its EncryptionContext {purpose, namespace, key_id, number, kek_id}, which KMS authenticates and CloudTrail shows.
`Decrypt` names the key, too, and only the key that the URI names is ever asked: a KEK id that stands in the database
cannot choose another. An alias is looked up once; after it was pointed to another key, list the former one's ARN, too.

Credentials come from boto3's usual chain (role, profile, environment).
"""

import logging
import re
from functools import cache
from typing import Any
from urllib.parse import urlsplit

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from keys.errors import VaultUnavailable
from keys.wrapping.base import Binding, KekDenied, KekUnavailable, UnwrapRefused
from keys.wrapping.uris import split_options

_ARN = re.compile(r"arn:[a-z-]+:kms:([a-z0-9-]+):[0-9]+:(?:key|alias)/[A-Za-z0-9/_-]+")
_KEY_ARN = re.compile(r"arn:[a-z-]+:kms:[a-z0-9-]+:[0-9]+:key/[A-Za-z0-9-]+")
_NAME = re.compile(r"[A-Za-z0-9:/_-]{1,255}")
_REFUSALS = {"InvalidCiphertextException", "IncorrectKeyException"}
_DENIALS = {"AccessDeniedException"}
_MAX_BLOB = 6144  # bytes, of CiphertextBlob: AWS KMS API reference, Decrypt
_CONFIG = Config(connect_timeout=2, read_timeout=3, retries={"mode": "standard", "total_max_attempts": 2})

for _name in ("boto3", "botocore", "urllib3"):
    logging.getLogger(_name).setLevel(logging.WARNING)  # at DEBUG botocore writes request and response: the data key


class AwsKmsKek:
    """KekProvider over one KMS key. A call takes at most two connects of 2 s and two answers of 3 s, and a pause."""

    def __init__(self, rest: str) -> None:
        """`rest` is the URI behind `awskms:`. Raises KekUnavailable."""
        self._name, self._options = split_options(rest, known=("region", "endpoint"))
        if not _NAME.fullmatch(self._name):
            raise KekUnavailable("An awskms: URI names an alias (alias/…), a key id or an ARN.")
        _check_endpoint(self._options.get("endpoint"))
        self._arn = self._name if _KEY_ARN.fullmatch(self._name) else ""

    def primary_id(self) -> str:
        if not self._arn:
            self._arn = self._call("describe_key", KeyId=self._name)["KeyMetadata"]["Arn"]
        return self._arn

    def holds(self, kek_id: str) -> bool:
        return _KEY_ARN.fullmatch(kek_id) is not None and kek_id == self.primary_id()

    def wrap(self, data_key: bytes, binding: Binding) -> tuple[str, bytes]:
        kek_id = self.primary_id()
        answer = self._call("encrypt", KeyId=kek_id, Plaintext=data_key, EncryptionContext=_context(binding, kek_id))
        return kek_id, answer["CiphertextBlob"]

    def unwrap(self, kek_id: str, wrapped: bytes, binding: Binding) -> bytes:
        if not self.holds(kek_id):
            raise KekUnavailable(f"AWS KMS key {self._name} is not the KEK {kek_id}.")
        if not 0 < len(wrapped) <= _MAX_BLOB:
            raise UnwrapRefused("The wrapped key has a length that AWS KMS does not make.")
        answer = self._call(
            "decrypt", KeyId=kek_id, CiphertextBlob=wrapped, EncryptionContext=_context(binding, kek_id)
        )
        data_key: bytes = answer["Plaintext"]
        return data_key

    def _call(self, operation: str, **parameters: Any) -> dict[str, Any]:
        try:
            answer: dict[str, Any] = getattr(self._client, operation)(**parameters)
        except ClientError as error:
            raise self._translated(error) from error
        except BotoCoreError as error:
            raise KekUnavailable(f"AWS KMS cannot be asked for {self._name}: {type(error).__name__}.") from error
        return answer

    def _translated(self, error: ClientError) -> VaultUnavailable:
        code: str = error.response["Error"]["Code"]
        if code in _REFUSALS:
            return UnwrapRefused(f"AWS KMS key {self._name} does not unwrap this key: {code}.")
        unavailable = KekDenied if code in _DENIALS else KekUnavailable
        return unavailable(f"AWS KMS refuses {self._name}: {code}.")

    @property
    def _client(self) -> Any:
        arn = _ARN.fullmatch(self._name)
        return _client(self._options.get("region") or (arn[1] if arn else None), self._options.get("endpoint"))


@cache
def _client(region: str | None, endpoint: str | None) -> Any:
    """Return the client of a region; threads share it. Raises KekUnavailable, or BotoCoreError (without a region)."""
    session = boto3.session.Session(region_name=region)  # its own: boto3's default session is not for threads
    client = session.client("kms", endpoint_url=endpoint, config=_CONFIG)
    _check_endpoint(client.meta.endpoint_url)  # AWS_ENDPOINT_URL and profiles can name one, too
    return client


def _context(binding: Binding, kek_id: str) -> dict[str, str]:
    return {
        "purpose": "codec-kek-v1",
        "namespace": binding.namespace,
        "key_id": binding.key_id,
        "number": str(binding.number),
        "kek_id": kek_id,
    }


def _check_endpoint(endpoint: str | None) -> None:
    """Data keys travel to KMS in the clear inside TLS, so plain http stays on this machine."""
    if endpoint is None:
        return
    parts = urlsplit(endpoint)
    if parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in {"127.0.0.1", "localhost", "::1"}):
        raise KekUnavailable("The endpoint of an awskms: KEK must be https, or http on this machine.")

"""Signed statements of how far every audit chain had come, kept outside the database.

A checkpoint is one line of JSON:

    {"body": {"at": ..., "heads": {chain: {"mac": hex, "sequence": n}}, "origin": url}, "key": hex, "signature": hex}

The signature is Ed25519 over the canonical JSON of `body` (sorted keys, no spaces, ASCII), by the key whose public
half is `key`. Whoever can write the database can cut a chain and its head, but cannot sign.
"""

import json
import logging
import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from django.conf import settings

from keys.errors import KeysError
from keys.models import AuditChain

logger = logging.getLogger("codec.audit.checkpoint")


class CheckpointRefused(KeysError):
    """The checkpoint is damaged, or not signed by this server's key."""


@dataclass(frozen=True, slots=True)
class Head:
    sequence: int
    mac: bytes


@dataclass(frozen=True, slots=True)
class Checkpoint:
    at: datetime
    heads: dict[str, Head]


def make() -> str:
    """Return a checkpoint of all chains, now, as one line."""
    return sign(body())


def body() -> dict[str, Any]:
    """Return what a checkpoint says now."""
    chains = AuditChain.objects.values_list("pk", "sequence", "mac")
    return {
        "origin": settings.CODEC_PUBLIC_URL,
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "heads": {name: {"sequence": sequence, "mac": bytes(mac).hex()} for name, sequence, mac in chains},
    }


def publish() -> str:
    """Write a checkpoint to the log and to the end of CODEC_CHECKPOINT_FILE, and return it."""
    line = make()
    logger.info("%s", line)
    with Path(settings.CODEC_CHECKPOINT_FILE).open("a") as file:
        file.write(line + "\n")
        file.flush()
        os.fsync(file.fileno())
    return line


def sign(body: dict[str, Any]) -> str:
    """Return `body` with its Ed25519 signature and the public key, as one line of JSON."""
    signature = _signing_key().sign(canonical(body)).hex()
    return json.dumps({"body": body, "key": public_key(), "signature": signature}, sort_keys=True)


def read(line: str) -> Checkpoint:
    """Return the checkpoint in `line`. Raises CheckpointRefused unless this server's key has signed it."""
    try:
        signed = json.loads(line)
        Ed25519PublicKey.from_public_bytes(bytes.fromhex(public_key())).verify(
            bytes.fromhex(signed["signature"]), canonical(signed["body"])
        )
        heads = {
            name: Head(head["sequence"], bytes.fromhex(head["mac"])) for name, head in signed["body"]["heads"].items()
        }
        return Checkpoint(datetime.fromisoformat(signed["body"]["at"]), heads)
    except (InvalidSignature, ValueError, KeyError, TypeError) as error:
        raise CheckpointRefused("The checkpoint is not one that this server has signed.") from error


def latest() -> Checkpoint | None:
    """Return the last checkpoint in CODEC_CHECKPOINT_FILE, or None. Raises CheckpointRefused."""
    line = None
    for line in _lines():  # noqa: B007  only the last one counts
        pass
    return read(line) if line else None


def public_key() -> str:
    """Return the public half of the signing key, in hex: what an auditor needs to check a signature."""
    return _signing_key().public_key().public_bytes(Encoding.Raw, PublicFormat.Raw).hex()


def canonical(body: dict[str, Any]) -> bytes:
    return json.dumps(body, sort_keys=True, separators=(",", ":"), ensure_ascii=True).encode()


def _lines() -> Iterator[str]:
    path = Path(settings.CODEC_CHECKPOINT_FILE)
    if path.exists():
        with path.open() as file:
            yield from (line for line in file if line.strip())


def _signing_key() -> Ed25519PrivateKey:
    return Ed25519PrivateKey.from_private_bytes(bytes.fromhex(settings.CODEC_AUDIT_SIGNING_KEY))

"""The four bodies: a 1 payload of 200 B, b 20 of 1 KiB, c 100 of 10 KiB, d 1 of 1 MiB; random text."""

import base64
import json
import os
import random
import string
from dataclasses import dataclass
from typing import Any

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from temporalio.api.common.v1 import Payload

SHAPES = {"a": (1, 200), "b": (20, 1024), "c": (100, 10 * 1024), "d": (1, 1024 * 1024)}
JSON_PLAIN = base64.b64encode(b"json/plain").decode()


@dataclass(frozen=True, slots=True)
class Body:
    """A request and the answer it must get, as parsed JSON, for /decode; and the other way round for /encode."""

    encoded: bytes
    decoded: dict[str, Any]

    @property
    def plain(self) -> bytes:
        return json.dumps(self.decoded).encode()


def make(name: str, key_id: str, key: bytes) -> Body:
    count, size = SHAPES[name]
    letters = random.Random(name)
    texts = ["".join(letters.choices(string.ascii_letters + string.digits, k=size - 2)) for _ in range(count)]
    data = [json.dumps(text).encode() for text in texts]
    plain = [{"metadata": {"encoding": JSON_PLAIN}, "data": base64.b64encode(item).decode()} for item in data]
    encrypted = [_encrypt(item, key_id, key) for item in data]
    return Body(json.dumps({"payloads": encrypted}).encode(), {"payloads": plain})


def _encrypt(data: bytes, key_id: str, key: bytes) -> dict[str, Any]:
    nonce = os.urandom(12)
    inner = Payload(metadata={"encoding": b"json/plain"}, data=data).SerializeToString()
    metadata = {"encoding": b"binary/encrypted", "encryption-key-id": key_id.encode()}
    return {
        "metadata": {name: base64.b64encode(value).decode() for name, value in metadata.items()},
        "data": base64.b64encode(nonce + AESGCM(key).encrypt(nonce, inner, None)).decode(),
    }

"""A codec server in the style of Temporal's Python sample: aiohttp, json_format, one key, no login, no audit.

The body limit is raised so that every benchmark body fits; the sample has aiohttp's 1 MiB.
Usage: python -m bench.baseline PORT KEY_ID KEY_HEX
"""

import os
import sys
from collections.abc import Iterable

from aiohttp import web
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from google.protobuf import json_format
from temporalio.api.common.v1 import Payload, Payloads


class EncryptionCodec:
    """AES-256-GCM around the serialized payload, as in samples-python encryption/codec.py."""

    def __init__(self, key_id: str, key: bytes) -> None:
        self.key_id = key_id
        self.encryptor = AESGCM(key)

    async def encode(self, payloads: Iterable[Payload]) -> list[Payload]:
        return [
            Payload(
                metadata={"encoding": b"binary/encrypted", "encryption-key-id": self.key_id.encode()},
                data=self.encrypt(payload.SerializeToString()),
            )
            for payload in payloads
        ]

    async def decode(self, payloads: Iterable[Payload]) -> list[Payload]:
        decoded: list[Payload] = []
        for payload in payloads:
            if payload.metadata.get("encoding", b"").decode() != "binary/encrypted":
                decoded.append(payload)
                continue
            key_id = payload.metadata.get("encryption-key-id", b"").decode()
            if key_id != self.key_id:
                raise ValueError(f"Unrecognized key ID {key_id}.")
            decoded.append(Payload.FromString(self.decrypt(payload.data)))
        return decoded

    def encrypt(self, data: bytes) -> bytes:
        nonce = os.urandom(12)
        return nonce + self.encryptor.encrypt(nonce, data, None)

    def decrypt(self, data: bytes) -> bytes:
        return self.encryptor.decrypt(data[:12], data[12:], None)


def build(codec: EncryptionCodec) -> web.Application:
    async def apply(function, request: web.Request) -> web.Response:
        payloads = json_format.Parse(await request.read(), Payloads())
        result = Payloads(payloads=await function(payloads.payloads))
        response = web.Response()
        response.content_type = "application/json"
        response.text = json_format.MessageToJson(result)
        response.headers["Access-Control-Allow-Origin"] = "http://localhost:8080"
        return response

    async def decode(request: web.Request) -> web.Response:
        return await apply(codec.decode, request)

    async def encode(request: web.Request) -> web.Response:
        return await apply(codec.encode, request)

    app = web.Application(client_max_size=64 * 1024 * 1024)

    async def healthz(request: web.Request) -> web.Response:
        return web.Response(text="ok")

    app.add_routes([web.post("/decode", decode), web.post("/encode", encode), web.get("/healthz", healthz)])
    return app


if __name__ == "__main__":
    port, key_id, key_hex = sys.argv[1:]
    app = build(EncryptionCodec(key_id, bytes.fromhex(key_hex)))
    web.run_app(app, host="127.0.0.1", port=int(port), access_log=None, print=None)

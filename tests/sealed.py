"""Payloads encoded in a separate installation, and the proof that they still decode: run as a process with its
settings in the environment.

    python -m tests.sealed seal FILE COUNT    make COUNT namespaces and encode one payload in each
    python -m tests.sealed open FILE          decode them all; print which KEKs wrap the keys and what is recorded
"""

import json
import os
import sys
from pathlib import Path

import django
from temporalio.api.common.v1 import Payload


def seal(file: Path, count: int) -> None:
    from codec.payload_codec.chain import Encoder
    from keys.actor import operator
    from keys.rotation import create_namespace

    sealed = {}
    for number in range(count):
        namespace = create_namespace(f"namespace-{number}", actor=operator())
        sealed[namespace.name] = Encoder(keys_of(namespace)).encode(plain(namespace.name)).SerializeToString().hex()
    file.write_text(json.dumps(sealed))


def open_all(file: Path) -> dict[str, object]:
    from codec.payload_codec.chain import Decoder
    from keys.models import AuditRecord, Namespace
    from keys.rewrap import stored_by_kek

    sealed = json.loads(file.read_text())
    for namespace in Namespace.objects.all():
        payload = Payload.FromString(bytes.fromhex(sealed.pop(namespace.name)))
        assert Decoder(keys_of(namespace)).decode(payload) == plain(namespace.name), namespace
    assert not sealed
    return {"keks": stored_by_kek(), "records": AuditRecord.objects.filter(action="key:rewrapped").count()}


def keys_of(namespace):
    from keys import epoch
    from keys.keyring import Keyring

    return Keyring(namespace, epoch.read())


def plain(text: str) -> Payload:
    return Payload(metadata={"encoding": b"json/plain"}, data=json.dumps(text).encode())


if __name__ == "__main__":
    os.environ["DJANGO_SETTINGS_MODULE"] = "codecsite.settings"
    django.setup()
    verb, file, *rest = sys.argv[1:]
    if verb == "seal":
        seal(Path(file), int(rest[0]))
    else:
        sys.stdout.write(json.dumps(open_all(Path(file))))

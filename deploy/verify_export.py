#!/usr/bin/env python3
"""Verify an audit export of a Codec Server with nothing but the server's public key.

    python3 verify_export.py --key PUBLIC_KEY EXPORT

EXPORT is the directory or the zip archive with manifest.json and the file of lines. PUBLIC_KEY is 64 hex digits, or a
file that holds them: what `manage.py audit_public_key` prints. Get it on another way than the export, or whoever
changed the export has given you a key of their own.

Says OK and what the export holds, or WRONG and what is wrong (exit status 1). Needs Python 3.9 and the package
`cryptography`, and not the server.
"""

import argparse
import hashlib
import json
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

KIND = "audit-export-v1"
Manifest = dict[str, Any]


class Wrong(Exception):
    """The export is not what the server has signed."""


def main() -> int:
    parser = argparse.ArgumentParser(description="Verify an audit export of a Codec Server.")
    parser.add_argument("--key", required=True, help="the server's public key: 64 hex digits, or a file with them")
    parser.add_argument("export", type=Path, help="the directory or the zip archive")
    arguments = parser.parse_args()
    try:
        body = verify(arguments.export, read_key(arguments.key))
    except (Wrong, OSError, KeyError, zipfile.BadZipFile) as error:
        print(f"WRONG  {describe(error)}")
        return 1
    print(f"OK  {body['records']} records in {body['file']}, signed {body['at']} by {body['origin']}")
    print(f"    selection: {json.dumps(body['selection'])}")
    for chain, part in sorted(body["chains"].items()):
        print(f"    {chain}: {part['records']} records, from {part['first']} to {part['last']}")
    return 0


def describe(error: Exception) -> str:
    return f"something is missing: {error}" if isinstance(error, KeyError) else str(error)


def read_key(text: str) -> bytes:
    path = Path(text)
    if len(text) != 64 and path.is_file():
        text = path.read_text().strip()
    try:
        key = bytes.fromhex(text)
    except ValueError:
        key = b""
    if len(key) != 32:
        raise Wrong("the public key is not 64 hex digits")
    return key


def verify(export: Path, key: bytes) -> Manifest:
    """Return what the manifest says of the export. Raises Wrong."""
    if export.is_dir():
        return verify_files(key, lambda name: (export / name).open("rb"))
    with zipfile.ZipFile(export) as archive:
        return verify_files(key, archive.open)


def verify_files(key: bytes, opened: Callable[[str], IO[bytes]]) -> Manifest:
    with opened("manifest.json") as file:
        body = verify_manifest(file.read(), key)
    with opened(body["file"]) as file:
        found = read_lines(file, body["format"])
    compare(body, found)
    return body


def verify_manifest(text: bytes, key: bytes) -> Manifest:
    """Return the body of the manifest, which the key has signed: Ed25519 over its canonical JSON."""
    try:
        signed = json.loads(text)
        signature = bytes.fromhex(signed["signature"])
        body = signed["body"]
    except (ValueError, KeyError, TypeError) as error:
        raise Wrong("manifest.json is not a signed manifest") from error
    if signed.get("key") != key.hex():
        raise Wrong("the manifest names another public key than yours")
    canonical = json.dumps(body, sort_keys=True, separators=(",", ":"), ensure_ascii=True).encode()
    try:
        Ed25519PublicKey.from_public_bytes(key).verify(signature, canonical)
    except InvalidSignature as error:
        raise Wrong("the manifest was changed, or another key has signed it") from error
    if body.get("kind") != KIND:
        raise Wrong(f"what was signed is not a manifest of the kind {KIND}")
    return body


def read_lines(file: IO[bytes], kind: str) -> Manifest:
    """Read the file once, line by line; return what a manifest would say of it."""
    digest, size, lines = hashlib.sha256(), 0, 0
    chains: Manifest = {}
    for line in file:
        digest.update(line)
        size += len(line)
        lines += 1
        if kind == "jsonl":
            note(chains, line)
    return {"sha256": digest.hexdigest(), "bytes": size, "lines": lines, "chains": chains}


def note(chains: Manifest, line: bytes) -> None:
    try:
        record = json.loads(line)
        name, sequence, mac = record["chain"], record["sequence"], record["mac"]
    except (ValueError, KeyError, TypeError):
        return  # the hash will tell
    part = chains.setdefault(name, {"records": 0, "first": sequence, "last": 0, "last_mac": ""})
    part["records"] += 1
    part["first"] = min(part["first"], sequence)
    if sequence > part["last"]:
        part["last"], part["last_mac"] = sequence, mac


def compare(body: Manifest, found: Manifest) -> None:
    if (found["sha256"], found["bytes"]) != (body["sha256"], body["bytes"]):
        raise Wrong(f"the lines are not those that were signed: {difference(body, found)}")
    if body["format"] == "jsonl" and found["chains"] != body["chains"]:
        raise Wrong("the manifest does not say what the lines hold, although their hash is right")


def difference(body: Manifest, found: Manifest) -> str:
    expected = body["records"] + (body["format"] == "csv")
    if found["lines"] != expected:
        return f"there are {found['lines']} lines, and there were {expected}"
    if found["bytes"] != body["bytes"]:
        return f"there are {found['bytes']} bytes, and there were {body['bytes']}"
    return "as many lines and bytes, but changed or in another order"


if __name__ == "__main__":
    sys.exit(main())

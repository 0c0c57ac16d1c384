"""Audit records for others, as a file of lines and a signed manifest that says what the file holds.

    {"body": {"kind": "audit-export-v1", "file": ..., "sha256": hex, "bytes": n, "records": n, "chains": {chain:
     {"records": n, "first": sequence, "last": sequence, "last_mac": hex}}, "selection": {...}, "at": ...,
     "heads": ..., ...}, "key": hex, "signature": hex}

Signed as a checkpoint is (keys/checkpoints.py), and with the same `at` and `heads`: a manifest is one, too. Lines
leave one by one, however many there are; the record of the export is committed before the first. Everyone who has the
public key can check file and manifest, by deploy/verify_export.py or the procedure in docs/audit.md.
"""

import hashlib
import io
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any
from zipfile import ZIP_DEFLATED, ZipFile

from django.db.models import Q, QuerySet

from keys import audit, checkpoints
from keys.actor import Actor
from keys.audit import AuditAction
from keys.audit_formats import Format
from keys.errors import KeysError
from keys.models import AuditRecord

MANIFEST = "manifest.json"
_BATCH = 2000
_CHUNK = 64 * 1024


class ExportRefused(KeysError):
    """The export cannot be made like this."""


@dataclass(frozen=True, slots=True)
class Selection:
    """Which records: from `since` until before `until`, and where given, of these namespaces and these people."""

    since: datetime
    until: datetime
    namespaces: tuple[str, ...] = ()
    actors: tuple[str, ...] = ()

    def records(self) -> QuerySet[AuditRecord]:
        records = AuditRecord.objects.filter(at__gte=self.since, at__lt=self.until)
        if self.namespaces:
            records = records.filter(namespace__in=self.namespaces)
        if self.actors:
            records = records.filter(Q(actor_name__in=self.actors) | Q(actor_id__in=self.actors))
        return records.order_by("at", "pk")

    def as_dict(self) -> dict[str, Any]:
        times = {"from": self.since.isoformat(), "to": self.until.isoformat()}
        return {**times, "namespaces": list(self.namespaces), "actors": list(self.actors)}


@dataclass(slots=True)
class _Part:
    """What an export holds of one chain."""

    records: int = 0
    first: int = 0
    last: int = 0
    last_mac: str = ""

    def add(self, record: AuditRecord) -> None:
        self.records += 1
        self.first = min(self.first, record.sequence) if self.first else record.sequence
        if record.sequence > self.last:
            self.last, self.last_mac = record.sequence, bytes(record.mac).hex()

    def as_dict(self) -> dict[str, Any]:
        return {"records": self.records, "first": self.first, "last": self.last, "last_mac": self.last_mac}


@dataclass(slots=True)
class Export:
    """Records on their way out: counted and hashed as they become lines."""

    format: Format
    selection: dict[str, Any]
    event_id: str
    records: int = 0
    size: int = 0
    _parts: dict[str, _Part] = field(default_factory=dict)
    _hash: Any = field(default_factory=hashlib.sha256)

    def lines(self, records: Iterable[AuditRecord]) -> Iterator[bytes]:
        """Yield the file, line by line."""
        for line in self.format.lines(self._noted(records)):
            self._hash.update(line)
            self.size += len(line)
            yield line

    def _noted(self, records: Iterable[AuditRecord]) -> Iterator[AuditRecord]:
        for record in records:
            self._parts.setdefault(record.chain_id, _Part()).add(record)
            self.records += 1
            yield record

    @property
    def sha256(self) -> str:
        return str(self._hash.hexdigest())

    def manifest(self) -> str:
        """Return the signed manifest of the lines that have left."""
        body = {
            **checkpoints.body(),
            "kind": "audit-export-v1",
            "format": self.format.value,
            "file": self.format.file_name,
            "sha256": self.sha256,
            "bytes": self.size,
            "records": self.records,
            "chains": {name: part.as_dict() for name, part in self._parts.items()},
            "selection": self.selection,
            "event_id": self.event_id,
        }
        return checkpoints.sign(body) + "\n"


def begin(selection: dict[str, Any], format: Format, *, actor: Actor) -> Export:
    """Record that `actor` takes these records away. Raises django.db.DatabaseError; then nothing may leave."""
    line = audit.record(AuditAction.AUDIT_EXPORTED, actor=actor, details={"format": format.value, **selection})
    return Export(format, selection, str(line.event_id))


def export(selection: Selection, format: Format, directory: Path, *, actor: Actor) -> Export:
    """Write the selected records and their manifest into `directory`. Raises ExportRefused."""
    refuse_used(directory)
    started = begin(selection.as_dict(), format, actor=actor)
    write(started, selection.records().iterator(_BATCH), directory)
    return started


def download(selection: Selection, format: Format, *, actor: Actor) -> Iterator[bytes]:
    """Return the two files as a zip archive, in pieces. The record is written before this returns."""
    started = begin(selection.as_dict(), format, actor=actor)
    return _zipped(started, selection.records().iterator(_BATCH))


def refuse_used(directory: Path) -> None:
    """Raise ExportRefused if `directory` holds an export already. One that was broken off may be written over."""
    if (directory / MANIFEST).exists():
        raise ExportRefused(f"{directory} holds an export already. Choose another directory.")


def write(started: Export, records: Iterable[AuditRecord], directory: Path) -> None:
    """Write lines and manifest, all of it on disk when this returns; the manifest comes last."""
    directory.mkdir(parents=True, exist_ok=True)
    _write_file(directory / started.format.file_name, started.lines(records))
    _write_file(directory / MANIFEST, [started.manifest().encode()])
    _sync(directory)


def _write_file(path: Path, pieces: Iterable[bytes]) -> None:
    unfinished = path.with_name(path.name + ".part")
    with unfinished.open("wb") as file:
        file.writelines(pieces)
        file.flush()
        os.fsync(file.fileno())
    unfinished.replace(path)


def _sync(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


class _Sink(io.RawIOBase):
    """Where the archive is written to: holds a piece of it until it is taken."""

    def __init__(self) -> None:
        self._held = bytearray()

    def write(self, data: Any, /) -> int:
        self._held += data
        return len(data)

    def is_full(self) -> bool:
        return len(self._held) >= _CHUNK

    def take(self) -> bytes:
        held, self._held = bytes(self._held), bytearray()
        return held


def _zipped(started: Export, records: Iterable[AuditRecord]) -> Iterator[bytes]:
    sink = _Sink()
    with ZipFile(sink, "w", ZIP_DEFLATED) as archive:
        with archive.open(started.format.file_name, "w", force_zip64=True) as file:
            for line in started.lines(records):
                file.write(line)
                if sink.is_full():
                    yield sink.take()
        archive.writestr(MANIFEST, started.manifest())
    yield sink.take()

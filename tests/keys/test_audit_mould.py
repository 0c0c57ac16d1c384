"""A record from a mould is, byte for byte, the record that would have been composed."""

from hypothesis import given
from hypothesis import strategies as st

from keys import audit, audit_chain
from keys.actor import Actor, ActorKind
from keys.audit import AuditAction
from keys.audit_canonical import canonical
from keys.audit_line import AuditLine
from keys.audit_mould import Mould, MouldedLine, details_json
from keys.group_commit import GroupCommit
from keys.models import AuditRecord
from keys.verification import Finding, verify

TEXT = st.text(max_size=20)
DETAILS = st.dictionaries(TEXT, st.integers(0, 2**40) | TEXT | st.dictionaries(TEXT, st.integers(0, 9)), max_size=4)
ACTORS = st.builds(Actor, kind=st.just(ActorKind.USER), id=TEXT, name=TEXT, credential=TEXT, user_agent=TEXT)


def composed(actor: Actor, **more: object) -> AuditLine:
    return audit.compose(AuditAction.PAYLOAD_DECODED, actor=actor, namespace="100 % %b payments", **more)


@given(ACTORS, DETAILS, st.binary(max_size=40), TEXT, st.integers(1, 2**40), TEXT)
def test_moulded_line_is_the_composed_one(actor, details, fingerprints, request_id, sequence, chain):
    moulded = MouldedLine(Mould(composed(actor)), request_id, details_json(details), fingerprints=fingerprints)
    plain = composed(actor, details=details)
    plain.request_id, plain.fingerprints, plain.at, plain.event_id = (
        request_id,
        fingerprints,
        moulded.at,
        moulded.event_id,
    )
    for line in (moulded, plain):
        line.sequence, line.chain_id, line.mac = sequence, chain, b"m"
    assert moulded.as_canonical() == plain.as_canonical() == canonical(plain)
    assert moulded.row()[:5] + moulded.row()[6:] == plain.row()[:5] + plain.row()[6:]
    assert details_json(details) == moulded.row()[5].encode()


def test_moulded_lines_verify_as_stored(db):
    actor = Actor(kind=ActorKind.USER, id="7", name="alice", address="10.2.3.4")
    mould, writer = Mould(composed(actor)), GroupCommit()
    for number in range(3):
        writer.write(
            MouldedLine(mould, f"r-{number}", details_json({"payloads": number}), fingerprints=b"f" * 16), None
        )
    stored = AuditRecord.objects.exclude(chain=audit_chain.MANAGEMENT).order_by("sequence")
    assert [(record.actor_name, record.request_id, record.details) for record in stored] == [
        ("alice", f"r-{number}", {"payloads": number}) for number in range(3)
    ]
    assert not [result for result in verify() if isinstance(result, Finding)]

"""The use case behind POST /decode and the Read page: authorise, read, decode, record. All payloads or none."""

from temporalio.api.common.v1 import Payload

from codec.authorization import authorize_decode
from codec.codec_call import CodecCall, Entry, permitted_namespace, recorded
from codec.errors import NotAllowed, TooLarge, Unavailable, Undecodable
from codec.limits import decoding_limits
from codec.payload_codec.aes_gcm import KEY_ID
from codec.payload_codec.chain import Decoder, Limits
from codec.payload_codec.errors import LimitExceeded, PayloadCodecError
from keys import lifecycle
from keys.audit import AuditAction
from keys.errors import VaultUnavailable
from keys.keyring import Keyring, RememberedKeys
from keys.models import Namespace

__all__ = ["RememberedKeys", "decode_payloads", "read_payloads", "remembered_keys", "repeat_decode"]


def decode_payloads(call: CodecCall) -> list[Payload]:
    """Return the plaintext payloads, in order, after the record of it is committed.

    Where the namespace says so, a denied caller gets the payloads back as they came; that, too, is recorded as denied.
    Raises NotAllowed, RateLimited, MalformedBody, TooLarge, Undecodable, Unavailable.
    """
    try:
        return _decode_recorded(AuditAction.PAYLOAD_DECODED, call)
    except NotAllowed:
        if not _returns_encoded(call.namespace):
            raise
        return call.read()


def read_payloads(call: CodecCall) -> list[Payload]:
    """Do the same for the Read page, recorded as `payload:read`: there, nobody is served by ciphertext.

    Raises what decode_payloads raises.
    """
    return _decode_recorded(AuditAction.PAYLOAD_READ, call)


def remembered_keys(namespace: Namespace, epoch: int) -> RememberedKeys:
    """Return the keys with which repeat_decode and repeat_encode do their work."""
    return RememberedKeys(namespace, epoch)


def repeat_decode(payloads: list[Payload], keys: RememberedKeys, limits: Limits, entry: Entry) -> list[Payload]:
    """Decode with the keys that this process remembers. The caller has the permission, and records.

    Raises NotRemembered, PayloadCodecError; where it does, decode_payloads has to say what is wrong.
    """
    decoder = Decoder(keys, limits)
    decoded = [decoder.decode(payload) for payload in payloads]
    entry.note_openings(keys.namespace.name, decoder.openings)
    return decoded


def _decode_recorded(action: AuditAction, call: CodecCall) -> list[Payload]:
    with recorded(action, call) as entry:
        namespace = permitted_namespace(call, authorize_decode, entry)
        payloads = call.read()
        entry.count_payloads(payloads)
        try:
            return _decode(payloads, namespace, call.epoch, entry)
        except Undecodable:
            entry.note_not_enabled(_not_enabled(namespace, payloads))
            raise


def _decode(payloads: list[Payload], namespace: Namespace, epoch: int, entry: Entry) -> list[Payload]:
    decoder = Decoder(Keyring(namespace, epoch), decoding_limits())
    try:
        return [decoder.decode(payload) for payload in payloads]
    except LimitExceeded as error:
        raise TooLarge(str(error)) from error
    except PayloadCodecError as error:
        raise Undecodable from error
    except VaultUnavailable as error:
        raise Unavailable(reason="kek_unavailable") from error
    finally:
        entry.note_openings(namespace.name, decoder.openings)


def _not_enabled(namespace: Namespace, payloads: list[Payload]) -> list[str]:
    """Return the key versions that the payloads name and that are not ENABLED: an auditor wants to know who asked."""
    return lifecycle.not_enabled(namespace, {payload.metadata.get(KEY_ID, b"") for payload in payloads})


def _returns_encoded(name: str) -> bool:
    choice = Namespace.DeniedDecode.RETURN_ENCODED
    return Namespace.objects.filter(name=name, denied_decode=choice).exists()

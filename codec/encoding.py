"""The use case behind POST /encode: authorise, read, encode with the primary, record. All payloads or none."""

from temporalio.api.common.v1 import Payload

from codec.authorization import authorize_encode
from codec.codec_call import CodecCall, Entry, permitted_namespace, recorded
from codec.errors import AlreadyEncrypted, Unavailable
from codec.payload_codec.chain import Encoder
from codec.payload_codec.errors import NotOurs, UnknownKey
from keys.audit import AuditAction
from keys.errors import VaultUnavailable
from keys.keyring import Keyring, RememberedKeys
from keys.models import Namespace


def encode_payloads(call: CodecCall) -> list[Payload]:
    """Return the payloads encoded by the namespace's chain, in order.

    Raises NotAllowed, RateLimited, MalformedBody, TooLarge, AlreadyEncrypted, Unavailable.
    """
    with recorded(AuditAction.PAYLOAD_ENCODED, call) as entry:
        namespace = permitted_namespace(call, authorize_encode, entry)
        payloads = call.read()
        entry.count_payloads(payloads)
        return _encode(payloads, namespace, call.epoch, entry)


def repeat_encode(payloads: list[Payload], keys: RememberedKeys, entry: Entry) -> list[Payload]:
    """Encode with the keys that this process remembers. The caller has the permission, and records.

    Raises NotRemembered, PayloadCodecError; where it does, encode_payloads has to say what is wrong.
    """
    encoder = Encoder(keys, keys.namespace.codec_chain.split(","))
    encoded = [encoder.encode(payload) for payload in payloads]
    entry.count_keys(encoder.key_labels)
    return encoded


def _encode(payloads: list[Payload], namespace: Namespace, epoch: int, entry: Entry) -> list[Payload]:
    encoder = Encoder(Keyring(namespace, epoch), namespace.codec_chain.split(","))
    try:
        return [encoder.encode(payload) for payload in payloads]
    except NotOurs as error:
        raise AlreadyEncrypted from error
    except UnknownKey as error:
        raise Unavailable("This namespace has no primary key to encode with.", reason="no_primary") from error
    except VaultUnavailable as error:
        raise Unavailable(reason="kek_unavailable") from error
    finally:
        entry.count_keys(encoder.key_labels)

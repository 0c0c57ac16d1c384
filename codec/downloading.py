"""The use case behind POST /download. No namespace has external storage yet, so a permitted caller gets 404."""

from temporalio.api.common.v1 import Payload

from codec.authorization import authorize_presence
from codec.codec_call import CodecCall, permitted_namespace, recorded
from codec.errors import NoStorage
from keys.audit import AuditAction


def download_payloads(call: CodecCall) -> list[Payload]:
    """Raises NotAllowed, RateLimited, NoStorage."""
    with recorded(AuditAction.PAYLOAD_DOWNLOADED, call) as entry:
        permitted_namespace(call, authorize_presence, entry)
        raise NoStorage

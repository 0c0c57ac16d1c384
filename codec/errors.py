"""What can go wrong at the door, one class per thing that a caller can act on.

Each carries its HTTP `status`, a stable machine-readable `code` and a default human
`detail`, all public: they hold names, ids and counts, never bytes of a request.
`reason` goes to the audit record and is not shown.
"""

from http import HTTPStatus


class CodecError(Exception):
    """Base of every refusal of a codec request. Raise one of the subclasses."""

    status = HTTPStatus.BAD_REQUEST
    code = "bad_request"
    detail = "The request cannot be processed."

    def __init__(self, detail: str | None = None, *, reason: str | None = None) -> None:
        self.detail = detail or self.detail
        self.reason = reason or self.code
        super().__init__(self.detail)


class MalformedBody(CodecError):
    """The body is not the protocol's JSON."""

    code = "malformed_body"
    detail = "The request body is not a valid list of payloads."


class Undecodable(CodecError):
    """A payload is encoded by us and cannot be decoded; one answer for every cause, so that it is no oracle."""

    code = "undecodable"
    detail = "A payload could not be decoded with the keys of this namespace."


class AlreadyEncrypted(CodecError):
    """/encode was given `binary/encrypted` that no enabled key of the namespace verifies."""

    code = "already_encrypted"
    detail = "A payload is already encrypted, but not with an enabled key of this namespace."


class NamespaceMissing(CodecError):
    """No usable namespace came with the request."""

    code = "namespace_missing"
    detail = "The X-Namespace header is missing or is not a namespace name."


class TooLarge(CodecError):
    """A limit on size or number was passed."""

    status = HTTPStatus.REQUEST_ENTITY_TOO_LARGE
    code = "too_large"
    detail = "The request is larger than this server accepts."

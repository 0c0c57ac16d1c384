"""What can go wrong at the door, one class per thing that a caller can act on.

Each carries its HTTP `status`, a stable machine-readable `code` and a default human
`detail`, all public: they hold names, ids and counts, never bytes of a request.
`reason` goes to the audit record and is not shown; so does `credential`, the name of one
that was refused although it is known.
"""

from http import HTTPStatus

from django.conf import settings


class CodecError(Exception):
    """Base of every refusal of a codec request. Raise one of the subclasses."""

    status = HTTPStatus.BAD_REQUEST
    code = "bad_request"
    detail = "The request cannot be processed."
    retry_after: int | None = None

    def __init__(self, detail: str | None = None, *, reason: str | None = None, credential: str = "") -> None:
        self.detail = detail or self.detail
        self.reason = reason or self.code
        self.credential = credential
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


class WrongMethod(CodecError):
    """Anything but POST."""

    status = HTTPStatus.METHOD_NOT_ALLOWED
    code = "method_not_allowed"
    detail = "Use POST."


class WrongMediaType(CodecError):
    """A body that is not declared as plain UTF-8 JSON; browsers send such bodies without asking first."""

    status = HTTPStatus.UNSUPPORTED_MEDIA_TYPE
    code = "unsupported_media_type"
    detail = "The Content-Type must be application/json."


class OriginRefused(CodecError):
    """A browser request from a page that is not one of the configured Temporal Web UIs."""

    status = HTTPStatus.FORBIDDEN
    code = "origin_refused"
    detail = "This server does not answer pages of that origin."


class HttpsRequired(CodecError):
    """Plain http to a server whose public URL is https. Not redirected: a body has already crossed in the clear."""

    status = HTTPStatus.FORBIDDEN
    code = "https_required"
    detail = "Use https."


class NotSignedIn(CodecError):
    """No credential, or one that is not valid (any more)."""

    status = HTTPStatus.UNAUTHORIZED
    code = "not_signed_in"
    detail = "You are not signed in to the codec server."


class NotAllowed(CodecError):
    """The caller is known and may not do this here. The same words for a namespace that does not exist."""

    status = HTTPStatus.FORBIDDEN
    code = "not_allowed"
    detail = "You do not have access to this namespace on the codec server."

    def __init__(self, *, reason: str | None = None) -> None:
        super().__init__(f"{self.detail} Ask for it at {settings.CODEC_PUBLIC_URL}/access/request/", reason=reason)


class NoStorage(CodecError):
    """/download on a namespace without external storage. The Web UI has a message of its own for 404."""

    status = HTTPStatus.NOT_FOUND
    code = "no_storage"
    detail = "This namespace has no external storage configured."


class RateLimited(CodecError):
    """This caller asked more often than CODEC_REQUESTS_PER_MINUTE allows."""

    status = HTTPStatus.TOO_MANY_REQUESTS
    code = "rate_limited"
    detail = "Too many requests. Wait a moment and try again."
    retry_after = 5


class BadTransport(CodecError):
    """Ambiguous or oversized HTTP, found before Django saw the request."""

    code = "bad_request_headers"
    detail = "The request's headers are ambiguous or too large."


class BodyTooSlow(CodecError):
    """The body did not arrive in time."""

    status = HTTPStatus.REQUEST_TIMEOUT
    code = "body_too_slow"
    detail = "The request body did not arrive in time."


class Unavailable(CodecError):
    """A part that the answer depends on is away: database, audit or KEK. Trying again later may help."""

    status = HTTPStatus.SERVICE_UNAVAILABLE
    code = "unavailable"
    detail = "The codec server cannot answer now. Nothing was decoded. Try again in a moment."
    retry_after = 5


class KeysUnavailable(Unavailable):
    """A token cannot be checked: the keys of its issuer are not known, and not to be had now."""

    detail = "The codec server cannot check access tokens now: their issuer does not answer. Try again in a moment."

    def __init__(self) -> None:
        super().__init__(reason="token_keys_unavailable")

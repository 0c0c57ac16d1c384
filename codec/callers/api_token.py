"""One of our own tokens, in `Authorization: Bearer tcs_…`: a person's at the CLI, or a service's.

The CLI prints the sentence of a refusal, so it says what to do next.
"""

from django.conf import settings
from django.utils import timezone

from codec import tokens
from codec.callers.principal import Principal, Right
from codec.errors import NotSignedIn
from codec.models import TOKEN_VERBS, ApiToken
from codec.token_format import PREFIX, digest, is_well_formed


def token_in(authorization: str) -> str | None:
    """Return the token if the header carries one of ours, well-formed or not. Raises NotSignedIn for a bare one."""
    scheme, _, token = authorization.partition(" ")
    if scheme.startswith(PREFIX):
        raise NotSignedIn('Write the word Bearer before the token: "Bearer tcs_…".', reason="token_without_bearer")
    return token if scheme.lower() == "bearer" and token.startswith(PREFIX) else None


def authenticate(token: str) -> Principal:
    """Return the token's active owner, with the limits of the token. Raises NotSignedIn."""
    if not is_well_formed(token):
        raise NotSignedIn("This token is incomplete or mistyped. Copy it again, all of it.", reason="token_malformed")
    # Looked up by digest, without a comparison in constant time: how long the search takes tells at most how far the
    # digest of a guess agrees with a stored one, and nobody can work back from that to 256 random bits.
    row = ApiToken.objects.select_related("user").filter(digest=digest(token)).first()
    if row is None:
        raise NotSignedIn(f"This server does not know this token. {_elsewhere()}", reason="token_unknown")
    _require_valid(row)
    tokens.note_use(row, timezone.now())
    return Principal(row.user_id, row.user.username, credential_name(row), limits=limits(row), until=row.expires_at)


def credential_name(row: ApiToken) -> str:
    """Return e.g. "token 1f3a5c7d9b2e": enough to tell tokens apart, useless as a token."""
    return f"token {row.label}"


def limits(row: ApiToken) -> frozenset[Right]:
    """Return the rights beyond which the token is worth nothing, whatever its owner may."""
    names = [None] if row.every_namespace else [namespace.name for namespace in row.namespaces.all()]
    return frozenset(Right(name, verb) for name in names for verb in TOKEN_VERBS if getattr(row, verb))


def _require_valid(row: ApiToken) -> None:
    if row.state == "revoked":
        raise _refusal(row, "token_revoked", f"This token was revoked. {_elsewhere(row)}")
    if row.state == "expired":
        raise _refusal(row, "token_expired", f"This token has expired. {_elsewhere(row)}")
    if not row.user.is_active:
        raise _refusal(row, "owner_disabled", "The account that this token belongs to is disabled.")


def _refusal(row: ApiToken, reason: str, detail: str) -> NotSignedIn:
    return NotSignedIn(detail, reason=reason, credential=credential_name(row))


def _elsewhere(row: ApiToken | None = None) -> str:
    if row is not None and row.user.is_service:
        return "Ask a grant approver of the codec server for a new one."
    return f"Make a new one at {settings.CODEC_PUBLIC_URL}/tokens/."

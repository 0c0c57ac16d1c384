"""The ID token of a session, kept so that signing out here can sign out at the provider (`id_token_hint`).

It is kept encrypted with a key made from the session cookie, of which the database has only a hash: reading the
table gives no token. A token too long for a URL is not kept.
"""

import base64
import os

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from django.http import HttpRequest

_NAME = "oidc_id_token"
_NONCE_BYTES = 12
_MAX_LENGTH = 4096


def keep(request: HttpRequest, token: str) -> None:
    """Put the token into the session. Call it after django.contrib.auth.login, which changes the cookie."""
    request.session.pop(_NAME, None)
    if len(token) <= _MAX_LENGTH:
        nonce = os.urandom(_NONCE_BYTES)
        sealed = nonce + _cipher(request).encrypt(nonce, token.encode(), _NAME.encode())
        request.session[_NAME] = base64.b64encode(sealed).decode()


def read(request: HttpRequest) -> str:
    """Return the token, or nothing."""
    sealed = base64.b64decode(request.session.get(_NAME, ""))
    if not sealed:
        return ""
    try:
        token = _cipher(request).decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], _NAME.encode())
    except InvalidTag:  # the cookie has changed since
        return ""
    return token.decode()


def _cipher(request: HttpRequest) -> AESGCM:
    cookie = request.session.session_key or ""
    return AESGCM(HKDF(SHA256(), 32, salt=None, info=_NAME.encode()).derive(cookie.encode()))

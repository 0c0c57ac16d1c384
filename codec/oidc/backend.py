"""Turns a provider's answer into a user. Django asks it, too, who a session belongs to that began at the provider."""

from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.contrib.auth import get_user_model
from django.http import HttpRequest
from mozilla_django_oidc.auth import OIDCAuthenticationBackend

from codec.models import User
from codec.oidc import conf, discovery, id_token, newcomers, transport
from codec.oidc.errors import AnswerRefused, ProviderAway


@dataclass(frozen=True, slots=True)
class Answer:
    """What the provider said when a person signed in: the ID token and its verified claims."""

    id_token: str
    claims: dict[str, Any]


class OidcBackend(OIDCAuthenticationBackend):  # type: ignore[misc]  # untyped
    """The library's backend with every decision made here. `authenticate` leaves the Answer on the user.

    Failures are raised as codec.oidc.errors.SignInFailed, so that the person can be told what happened.
    """

    def __init__(self) -> None:
        """Ask nobody: Django makes one of these for every request. The endpoints are looked up when they are used."""
        self.UserModel = get_user_model()
        self.OIDC_RP_CLIENT_ID = settings.OIDC_RP_CLIENT_ID
        self.OIDC_RP_CLIENT_SECRET = settings.OIDC_RP_CLIENT_SECRET

    def authenticate(self, request: HttpRequest, *, nonce: str, code_verifier: str) -> User:
        """Exchange the code in the request for tokens, verify them, and return the person. Raises SignInFailed.

        Takes these keywords and no others, so that Django never offers it a name and a password.
        """
        user: User | None = super().authenticate(request, nonce=nonce, code_verifier=code_verifier)
        if user is None:
            raise AnswerRefused
        return user

    def get_token(self, payload: dict[str, str]) -> dict[str, Any]:
        provider = discovery.provider()
        form = payload | {"redirect_uri": conf.redirect_uri()}
        secret = form.pop("client_secret")
        if provider.takes_secret_in_form:
            form["client_secret"] = secret
        basic = None if provider.takes_secret_in_form else (form["client_id"], secret)
        try:
            return transport.post_form(provider.token_endpoint, form, basic=basic)
        except transport.NoAnswer as error:
            raise ProviderAway("token_endpoint", part="token endpoint", answer=str(error)) from error

    def verify_token(self, token: object, *, nonce: str) -> dict[str, Any]:
        provider = discovery.provider()
        return id_token.verify(token, issuer=provider.issuer, jwks_uri=provider.jwks_uri, nonce=nonce)

    def store_tokens(self, access_token: object, id_token: object) -> None:
        """Keep neither: the session may be read by whoever reads the database."""

    def get_or_create_user(self, access_token: object, id_token: str, payload: dict[str, Any]) -> User:
        userinfo = self.get_userinfo(access_token, id_token, payload)
        profile = newcomers.read_profile(payload, userinfo)
        user = newcomers.find_or_admit(payload["iss"], payload["sub"], profile)
        user.provider_answer = Answer(id_token, payload)  # type: ignore[attr-defined]
        return user

    def get_userinfo(self, access_token: object, id_token: str, payload: dict[str, Any]) -> dict[str, Any]:
        """Return what the userinfo endpoint says, if there is one, of the very person that the ID token names."""
        url = discovery.provider().userinfo_endpoint
        if not url:
            return {}
        if not isinstance(access_token, str) or not access_token.isascii() or not access_token.isprintable():
            raise AnswerRefused("access_token_missing")
        try:
            userinfo = transport.get_json(url, bearer=access_token)
        except transport.NoAnswer as error:
            raise ProviderAway("userinfo_endpoint", part="userinfo endpoint", answer=str(error)) from error
        if userinfo.get("sub") != payload["sub"]:  # OpenID Connect Core 5.3.2
            raise AnswerRefused("userinfo_subject")
        return userinfo

    def get_user(self, user_id: int) -> User | None:
        """Return the person of a session while they are active. The library does not look."""
        user: User | None = super().get_user(user_id)
        return user if user is not None and self.user_can_authenticate(user) else None

"""The way to the provider and back, and out again."""

import re
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from django.conf import settings
from django.contrib import auth
from django.contrib.sessions.backends.base import UpdateError
from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render, resolve_url
from django.utils.decorators import method_decorator
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST
from mozilla_django_oidc.views import OIDCAuthenticationCallbackView, OIDCAuthenticationRequestView

from codec import fresh_login, refusals, request_facts
from codec.last_refusal import after_sign_in
from codec.models import User
from codec.oidc import attempts, conf, discovery, groups, kept_token
from codec.oidc.attempts import Attempt
from codec.oidc.backend import Answer
from codec.oidc.errors import AnotherPerson, AnswerRefused, AttemptUnknown, NotFresh, ProviderRefused, SignInFailed
from codec.oidc.id_token import LEEWAY_SECONDS
from codec.return_to import safe_target
from keys import audit
from keys.audit import AuditAction, Outcome

ANEW = {"prompt": "login", "max_age": "0"}  # OpenID Connect Core 3.1.2.1
_ERROR_CODE = re.compile("[a-z_]{1,40}")


@method_decorator(never_cache, name="dispatch")
class StartView(OIDCAuthenticationRequestView):  # type: ignore[misc]  # untyped
    """/login/sso/: sends the browser to the provider; with `again`, to sign in anew there. `next` as at /login/."""

    def __init__(self, **kwargs: Any) -> None:
        """Look up no endpoint yet, unlike the library's."""
        super(OIDCAuthenticationRequestView, self).__init__(**kwargs)
        self.OIDC_RP_CLIENT_ID = settings.OIDC_RP_CLIENT_ID

    def get(self, request: HttpRequest) -> HttpResponseBase:
        _require_configured()
        try:
            self.OIDC_OP_AUTH_ENDPOINT = discovery.provider().authorization_endpoint
        except SignInFailed as failure:
            return _failed(request, failure, None)
        response: HttpResponseBase = super().get(request)
        (state,) = parse_qs(urlsplit(response["Location"]).query)["state"]
        attempts.remember(
            request, state, next=safe_target(request.GET.get("next", "")) or "", again=_asks_again(request)
        )
        return response

    def get_extra_params(self, request: HttpRequest) -> dict[str, str]:
        return {"redirect_uri": conf.redirect_uri()} | (ANEW if _asks_again(request) else {})


@method_decorator(never_cache, name="dispatch")
class CallbackView(OIDCAuthenticationCallbackView):  # type: ignore[misc]  # untyped
    """/login/sso/callback/: where the provider sends people back to."""

    attempt: Attempt
    user: User

    def get(self, request: HttpRequest) -> HttpResponseBase:
        _require_configured()
        try:
            self.attempt = attempts.find(request)
        except AttemptUnknown as failure:
            return _failed(request, failure, None)
        try:
            _check_answer(request)
            response: HttpResponseBase = super().get(request)
        except SignInFailed as failure:
            return _failed(request, failure, self.attempt)
        except UpdateError:  # the session was ended while the provider was asked
            return _failed(request, AttemptUnknown(), None)
        return response

    def login_failure(self) -> HttpResponseBase:
        raise AnswerRefused

    def login_success(self) -> HttpResponseBase:
        """Start the session anew, even that of somebody who is signed in: they have just proved who they are."""
        answer: Answer = self.user.provider_answer  # type: ignore[attr-defined]
        is_fresh = _has_signed_in_since(answer, self.attempt)
        self._check_again(is_fresh)
        with transaction.atomic():
            self._sign_in(answer)
        kept_token.keep(self.request, answer.id_token)
        if is_fresh:
            fresh_login.mark(self.request)
        return redirect(after_sign_in(self.user, self.attempt.next or resolve_url(settings.LOGIN_REDIRECT_URL)))

    def _check_again(self, is_fresh: bool) -> None:
        if not self.attempt.again:
            return
        if self.request.user.is_authenticated and self.request.user.pk != self.user.pk:
            raise AnotherPerson
        if not is_fresh:
            raise NotFresh

    def _sign_in(self, answer: Answer) -> None:
        said = groups.read(answer.claims).said
        facts = {"issuer": conf.issuer(), "groups": said if said == groups.SENT else f"{said}: left as they were"}
        self.user.sign_in_facts = facts  # type: ignore[attr-defined]  # for the audit record
        if self.request.user.is_authenticated and self.request.user.pk == self.user.pk:
            self.request.session.cycle_key()
        auth.login(self.request, self.user)
        groups.apply(self.user, conf.issuer(), answer.claims)  # as the act of the person, who is signed in now


@never_cache
@require_POST
def sign_out(request: HttpRequest) -> HttpResponse:
    """End the session here, then send the browser to end the one at the provider, if it began there."""
    was_sso, hint = conf.came_in_by_sso(request), kept_token.read(request)
    auth.logout(request)
    url = _provider_sign_out_url(hint) if was_sso and conf.is_configured() else ""
    if not url:
        return redirect(settings.LOGOUT_REDIRECT_URL or "login")
    # Chromium applies form-action to redirects after a form, so it is left by another way than a redirect.
    response = render(request, "codec/signed_out.html", {"provider": settings.CODEC_OIDC_NAME, "url": url})
    response["Refresh"] = f"0; url={url}"
    return response


def _provider_sign_out_url(hint: str) -> str:
    """Return where RP-Initiated Logout 1.0 happens, or nothing when the provider has no such place or is away."""
    try:
        endpoint = discovery.provider().end_session_endpoint
    except SignInFailed:
        return ""
    asked = {"client_id": settings.OIDC_RP_CLIENT_ID, "post_logout_redirect_uri": conf.sign_in_url()}
    query = urlencode(asked | ({"id_token_hint": hint} if hint else {}))
    return f"{endpoint}{'&' if '?' in endpoint else '?'}{query}" if endpoint else ""


def _require_configured() -> None:
    if not conf.is_configured():
        raise Http404


def _asks_again(request: HttpRequest) -> bool:
    return "again" in request.GET


def _check_answer(request: HttpRequest) -> None:
    """Raise what speaks against an answer before its code is redeemed. Its state is then used up."""
    error = request.GET.get("error", "")
    if "code" in request.GET and not error and request.GET.get("iss", conf.issuer()) == conf.issuer():  # RFC 9207
        return
    attempts.forget(request)
    if "iss" in request.GET and request.GET["iss"] != conf.issuer():
        raise AnswerRefused("response_issuer")
    raise ProviderRefused(error=error if _ERROR_CODE.fullmatch(error) else "")


def _has_signed_in_since(answer: Answer, attempt: Attempt) -> bool:
    """True if the ID token shows that the person signed in at the provider since the attempt began.

    Only `auth_time` shows it: who sits at the browser can take `prompt=login` out of the address.
    """
    auth_time = answer.claims.get("auth_time")
    return isinstance(auth_time, int | float) and auth_time >= attempt.started_at - LEEWAY_SECONDS


def _failed(request: HttpRequest, failure: SignInFailed, attempt: Attempt | None) -> HttpResponse:
    """Say what happened. Without an attempt anybody can cause it, so it is counted; otherwise it is recorded."""
    if attempt is None:
        refusals.count(request, failure.reason)
    else:
        audit.record(
            AuditAction.SIGN_IN_FAILED,
            actor=request_facts.person(request),
            outcome=Outcome.DENIED,
            reason=failure.reason,
            details={"issuer": conf.issuer(), **failure.facts},
        )
    context = {
        "failure": failure,
        "provider": settings.CODEC_OIDC_NAME,
        "next": attempt.next if attempt else "",
        "sign_in_url": conf.sign_in_url(),
        "local_passwords": settings.CODEC_LOCAL_PASSWORDS,
        "request_id": request.META.get("REQUEST_ID", ""),
    }
    return render(request, "codec/sso_failed.html", context, status=failure.status)

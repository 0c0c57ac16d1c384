"""The pages for people: sign in, and the page that says what they may read."""

from typing import Any

from django.conf import settings
from django.contrib.auth.decorators import login_required
from django.contrib.auth.views import LoginView
from django.db import DatabaseError
from django.db.models import Q
from django.http import HttpRequest, HttpResponse, HttpResponseBase, HttpResponseNotAllowed
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from codec import access_requests, break_glass, policies, sessions, storage_access, tokens
from codec.grants import grants_in_force
from codec.last_refusal import after_sign_in, unmet_namespace
from codec.local_passwords import SignInForm
from codec.models import Grant, User
from codec.my_viewings import recent_viewings
from codec.oidc import conf as oidc
from codec.return_to import safe_target
from keys import epoch
from keys.errors import VaultUnavailable
from keys.selftest import check_kek

_REQUESTS = 10


class SignInView(LoginView):
    """/login/: sends a person back to the Web UI that `next` names, at once when already signed in.

    Not at once when their browser sends no cookie from there: they would be back in a moment, none the wiser.
    """

    template_name = "codec/login.html"
    form_class = SignInForm

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        self.cookies_blocked = storage_access.was_noticed(request)
        self.redirect_authenticated_user = not self.cookies_blocked
        return super().dispatch(request, *args, **kwargs)

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        if not settings.CODEC_LOCAL_PASSWORDS:
            return HttpResponseNotAllowed(["GET"])
        return super().post(request, *args, **kwargs)

    def get_redirect_url(self) -> str:  # type: ignore[override]  # the stubs describe a later Django
        return safe_target(self.request.POST.get("next", self.request.GET.get("next", ""))) or ""

    def get_success_url(self) -> str:
        assert isinstance(self.request.user, User)  # noqa: S101  they have just signed in
        return after_sign_in(self.request.user, super().get_success_url())

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        ways = {
            "local_passwords": settings.CODEC_LOCAL_PASSWORDS,
            "sso": settings.CODEC_OIDC_NAME if oidc.is_configured() else "",
            "returns_to_ui": self.get_redirect_url().startswith("http"),
            "cookies_blocked": self.cookies_blocked,
            "onward": self.get_success_url() if self.request.user.is_authenticated else "",
        }
        return super().get_context_data(**ways, **kwargs)


@never_cache
@login_required
@require_safe
def home(request: HttpRequest) -> HttpResponse:
    assert isinstance(request.user, User)  # noqa: S101  login_required has seen to it
    return render(request, "codec/home.html", _my_access(request.user))


def _my_access(person: User) -> dict[str, Any]:
    now = timezone.now()
    approvable = policies.approvable(person)
    return {
        "grants": grants_in_force(person, now),
        "coming": Grant.objects.not_over(now).filter(starts_at__gt=now).reaching(person.pk).select_related("namespace"),
        "to_answer": access_requests.waiting_for(person),
        "broken_glass": break_glass.in_use(now).filter(Q(namespace__in=approvable) | Q(user=person)),
        "requests": person.access_requests.select_related("grant")[:_REQUESTS],
        "refused": _not_asked_for(person, unmet_namespace(person)),
        "breakable": policies.breakable(person),
        "viewings": recent_viewings(person),
        "ui_origins": settings.CODEC_UI_ORIGINS,
        "tokens": [token for token in tokens.tokens_of(person) if token.state == "in force"],
        "sessions": sessions.open_sessions(person).count(),
        "has_password": settings.CODEC_LOCAL_PASSWORDS and person.has_usable_password(),
    }


def _not_asked_for(person: User, name: str) -> str:
    """Return `name`, or nothing when a request for it waits: another would replace it."""
    return "" if access_requests.waiting().filter(user=person, namespace_name=name).exists() else name


@require_safe
def healthz(request: HttpRequest) -> HttpResponse:
    """Say that this process serves. Touches nothing else."""
    return HttpResponse("ok\n", content_type="text/plain")


@require_safe
def readyz(request: HttpRequest) -> HttpResponse:
    """Say whether this process can decode now: the database answers, its triggers are there, every KEK works."""
    try:
        epoch.read()
        ready = not epoch.missing_triggers()
        check_kek(max_age=10)
    except (DatabaseError, VaultUnavailable):
        ready = False
    return HttpResponse("ready\n" if ready else "not ready\n", content_type="text/plain", status=200 if ready else 503)

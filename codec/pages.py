"""The pages for people: sign in, and the page that says what they may read."""

from typing import Any

from django.conf import settings
from django.contrib.auth.decorators import login_required
from django.contrib.auth.views import LoginView
from django.db import DatabaseError
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from codec.grants import grants_in_force
from codec.local_passwords import SignInForm
from codec.models import User
from codec.oidc import conf as oidc
from codec.return_to import safe_target
from keys import epoch
from keys.errors import VaultUnavailable
from keys.selftest import check_kek


class SignInView(LoginView):
    """/login/: sends a person back to the Web UI that `next` names, at once when already signed in."""

    template_name = "codec/login.html"
    form_class = SignInForm
    redirect_authenticated_user = True

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        if not settings.CODEC_LOCAL_PASSWORDS:
            return HttpResponseNotAllowed(["GET"])
        return super().post(request, *args, **kwargs)

    def get_redirect_url(self) -> str:  # type: ignore[override]  # the stubs describe a later Django
        return safe_target(self.request.POST.get("next", self.request.GET.get("next", ""))) or ""

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        ways = {
            "local_passwords": settings.CODEC_LOCAL_PASSWORDS,
            "sso": settings.CODEC_OIDC_NAME if oidc.is_configured() else "",
            "returns_to_ui": self.get_redirect_url().startswith("http"),
        }
        return super().get_context_data(**ways, **kwargs)


@never_cache
@login_required
@require_safe
def home(request: HttpRequest) -> HttpResponse:
    assert isinstance(request.user, User)  # noqa: S101  login_required has seen to it
    context = {"grants": grants_in_force(request.user), "ui_origins": settings.CODEC_UI_ORIGINS}
    return render(request, "codec/home.html", context)


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
        check_kek()
    except (DatabaseError, VaultUnavailable):
        ready = False
    return HttpResponse("ready\n" if ready else "not ready\n", content_type="text/plain", status=200 if ready else 503)

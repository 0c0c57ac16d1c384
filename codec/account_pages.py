"""The pages on which people look after their tokens, their sessions and their password."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.contrib.auth.views import PasswordChangeView
from django.core.exceptions import PermissionDenied
from django.db.models import Q, QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase, QueryDict
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse_lazy
from django.utils import timezone
from django.utils.decorators import method_decorator
from django.utils.timesince import timesince
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from codec import sessions, tokens
from codec.account_forms import RevokeForm, ServiceTokenForm, TokenForm
from codec.models import ApiToken, User
from codec.session_store import digest
from codec.token_format import TokenText
from keys.actor import current

GET_OR_POST = ["GET", "HEAD", "POST"]
BY_ITS_OWNER = "by its owner"


# Tokens ---------------------------------------------------------------------------------------------------------------


@never_cache
@login_required
@require_http_methods(GET_OR_POST)
def my_tokens(request: HttpRequest) -> HttpResponse:
    """List what there is; on POST make one and show it, this one time."""
    user = _person(request)
    form = TokenForm(_posted(request), owner=user)
    if request.method == "POST" and form.is_valid():
        made = tokens.make_token(user, form.wish, actor=current())
        return _show_once(request, *made)
    context = {
        "form": form,
        "tokens": _by_state(tokens.tokens_of(user)),
        "services": [(service, _by_state(tokens.tokens_of(service))) for service in _services_of(user)],
    }
    return render(request, "codec/tokens.html", context)


@never_cache
@login_required
@require_http_methods(GET_OR_POST)
def service_token(request: HttpRequest, pk: int) -> HttpResponse:
    """Make a token for a service: the business of those who may give grants."""
    user = _person(request)
    if not (user.is_staff and user.has_perm("codec.add_grant")):
        raise PermissionDenied
    service = get_object_or_404(User, pk=pk, is_service=True)
    form = ServiceTokenForm(_posted(request), owner=service)
    if request.method == "POST" and form.is_valid():
        made = tokens.make_token(service, form.wish, actor=current(), reason=form.cleaned_data["reason"])
        return _show_once(request, *made)
    return render(request, "codec/service_token.html", {"form": form, "service": service})


@never_cache
@login_required
@require_http_methods(GET_OR_POST)
def revoke_token(request: HttpRequest, pk: int) -> HttpResponse:
    """Say what it means, then end a token: one's own, or one of a service of one's group."""
    user = _person(request)
    token = get_object_or_404(ApiToken, Q(user=user) | Q(user__in=_services_of(user)), pk=pk)
    form = RevokeForm(_posted(request), own=token.user_id == user.pk)
    if request.method == "POST" and form.is_valid():
        try:
            tokens.revoke_token(token, actor=current(), reason=form.cleaned_data.get("reason", BY_ITS_OWNER))
            messages.success(request, f"The token {token.name} opens nothing any more.")
        except tokens.TokenRefused as error:
            messages.info(request, str(error))
        return redirect("tokens")
    return render(request, "codec/token_revoke.html", {"form": form, "token": token})


def _show_once(request: HttpRequest, token: ApiToken, text: TokenText) -> HttpResponse:
    # Not after a redirect, as is usual for a POST: the token would have to be kept somewhere in between.
    context = {
        "token": token,
        "text": text.reveal,
        "bearer": f"Bearer {text.reveal}",
        "endpoint": f"{settings.CODEC_PUBLIC_URL}/{{namespace}}",
    }
    return render(request, "codec/token_made.html", context)


@dataclass(frozen=True, slots=True)
class _ByState:
    in_force: list[ApiToken]
    ended: list[ApiToken]


def _by_state(rows: QuerySet[ApiToken]) -> _ByState:
    listed = list(rows)
    return _ByState(
        in_force=[token for token in listed if token.state == "in force"],
        ended=[token for token in listed if token.state != "in force"],
    )


def _services_of(user: User) -> QuerySet[User]:
    return User.objects.filter(is_service=True, owner_group__in=user.groups.all()).order_by("username")


# Sessions -------------------------------------------------------------------------------------------------------------


@never_cache
@login_required
@require_safe
def my_sessions(request: HttpRequest) -> HttpResponse:
    context = {
        "sessions": sessions.open_sessions(_person(request)),
        "current": _current_session(request),
        "idle": _in_words(settings.CODEC_SESSION_IDLE_SECONDS),
        "longest": _in_words(settings.SESSION_COOKIE_AGE),
    }
    return render(request, "codec/sessions.html", context)


@login_required
@require_POST
def end_session(request: HttpRequest, label: str) -> HttpResponse:
    try:
        sessions.end_session(_person(request), label, actor=current())
        messages.success(request, "That session has ended.")
    except sessions.EndingRefused as error:
        messages.info(request, str(error))
    return redirect("sessions")


@login_required
@require_POST
def end_all_sessions(request: HttpRequest) -> HttpResponse:
    """Sign out everywhere, here too."""
    sessions.end_all_sessions(_person(request), actor=current(), reason="signed out everywhere")
    request.session.flush()
    return redirect("login")


def _current_session(request: HttpRequest) -> str:
    return digest(request.session.session_key or "")


def _in_words(seconds: int) -> str:
    """Return e.g. "2 hours"."""
    now = timezone.now()
    return timesince(now - timedelta(seconds=seconds), now)


# Password -------------------------------------------------------------------------------------------------------------


@method_decorator(never_cache, name="dispatch")
class PasswordPage(PasswordChangeView):
    """For people who have one. Django ends their other sessions: each holds a hash that no longer agrees."""

    template_name = "codec/password.html"
    success_url = reverse_lazy("home")

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        has_none = request.user.is_authenticated and not request.user.has_usable_password()
        if has_none or not settings.CODEC_LOCAL_PASSWORDS:
            raise Http404
        return super().dispatch(request, *args, **kwargs)

    def form_valid(self, form: Any) -> HttpResponse:
        messages.success(self.request, "Your password is changed. Your other sessions have ended.")
        return super().form_valid(form)


def _posted(request: HttpRequest) -> QueryDict | None:
    return request.POST if request.method == "POST" else None


def _person(request: HttpRequest) -> User:
    assert isinstance(request.user, User)  # noqa: S101  login_required has seen to it
    return request.user

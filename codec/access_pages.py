"""The pages on which people ask for access to a namespace, answer, and take it in an emergency."""

from collections.abc import Callable

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse, QueryDict
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.formats import date_format
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST

from codec import access_requests, break_glass, policies
from codec.access_forms import AnswerForm, AskForm, BreakGlassForm
from codec.access_requests import NotYours, RequestRefused
from codec.grants import GrantRefused
from codec.last_refusal import unmet_namespace
from codec.models import AccessRequest, User
from codec.return_to import safe_target
from keys.actor import current
from keys.audit import AuditAction
from keys.models import Namespace

GET_OR_POST = ["GET", "HEAD", "POST"]
_ACTIONS = {"approve": AuditAction.ACCESS_REQUEST_APPROVED, "deny": AuditAction.ACCESS_REQUEST_DENIED}

Page = Callable[..., HttpResponse]


def page_for_people(page: Page) -> Page:
    """Make `page` one that somebody who is signed in sees fresh each time, and may post to."""
    return never_cache(login_required(require_http_methods(GET_OR_POST)(page)))


@page_for_people
def ask(request: HttpRequest) -> HttpResponse:
    """Ask for a namespace, by default the one that the person was refused last. Any name is answered alike."""
    person, back = _person(request), safe_target(request.GET.get("next", "")) or ""
    name = request.GET.get("namespace") or unmet_namespace(person)
    form = AskForm(_posted(request), initial={"namespace": name})
    if request.method == "POST" and form.is_valid():
        wish = form.cleaned_data
        try:
            access_requests.ask(person, wish.pop("namespace"), actor=current(), **wish)
        except RequestRefused as error:
            form.add_error(None, str(error))
        else:
            messages.success(request, "Your request is made. The answer will stand here.")
            return redirect("home")
    context = {"form": form, "back": back if back.startswith("http") else "", "may_break": _may_break(person)}
    return render(request, "codec/ask.html", context)


@login_required
@require_POST
def withdraw(request: HttpRequest, pk: int) -> HttpResponse:
    own = get_object_or_404(AccessRequest, pk=pk, user=_person(request))
    try:
        access_requests.withdraw(own, actor=current())
        messages.success(request, f"Your request for {own.namespace_name} is withdrawn.")
    except RequestRefused as error:
        messages.info(request, str(error))
    return redirect("home")


@page_for_people
def answer(request: HttpRequest, pk: int) -> HttpResponse:
    """Show a request to those who may answer it, and take their answer."""
    approver = _person(request)
    asked = _find(request, approver, pk)
    namespace = get_object_or_404(Namespace, name=asked.namespace_name)
    form = AnswerForm(_posted(request), longest=access_requests.longest_hours(asked, namespace))
    if request.method == "POST" and form.is_valid():
        try:
            messages.success(request, _take_answer(asked, approver, form))
            return redirect("home")
        except RequestRefused as error:
            form.add_error(None, str(error))
    context = {"form": form, "asked": asked, "policy": policies.policy_of(namespace)}
    return render(request, "codec/answer.html", context)


@page_for_people
def take_break_glass(request: HttpRequest) -> HttpResponse:
    """Take a short grant at once. Without such a right there is no such page."""
    person = _person(request)
    permitted = [namespace.policy for namespace in policies.breakable(person)]
    if not permitted:
        if request.method == "POST":
            break_glass.record_refusal(request.POST.get("namespace", ""), actor=current())
        raise Http404
    form = BreakGlassForm(_posted(request), policies=permitted)
    if request.method == "POST" and form.is_valid():
        taken = form.cleaned_data
        try:
            grant = break_glass.take(person, taken.pop("namespace"), actor=current(), **taken)
        except (break_glass.BreakGlassRefused, GrantRefused) as error:
            form.add_error(None, str(error))
        else:
            messages.success(
                request, f"You may read {grant.namespace} until {grant.ends_at:%H:%M} UTC. The approvers are told."
            )
            return redirect("home")
    return render(request, "codec/break_glass.html", {"form": form, "policies": permitted})


def _find(request: HttpRequest, approver: User, pk: int) -> AccessRequest:
    """Raises Http404, after recording an attempt to answer what is not theirs."""
    try:
        return access_requests.find_for(approver, pk)
    except NotYours as refused:
        row = AccessRequest.objects.filter(pk=pk).first()
        if request.method == "POST" and row is not None:
            action = _ACTIONS.get(request.POST.get("answer", ""), AuditAction.ACCESS_REQUEST_APPROVED)
            access_requests.record_refusal(action, row, refused, actor=current())
        raise Http404 from refused


def _take_answer(asked: AccessRequest, approver: User, form: AnswerForm) -> str:
    """Raises RequestRefused."""
    said = form.cleaned_data
    if said["answer"] == "deny":
        access_requests.deny(asked, approver=approver, note=said["note"], actor=current())
        return f"The request of {asked.user} is denied."
    grant = access_requests.approve(asked, approver=approver, hours=said["hours"], note=said["note"], actor=current())
    assert grant.ends_at is not None  # noqa: S101  it was given for hours
    return f"{asked.user} may read {grant.namespace} until {date_format(grant.ends_at, 'j F Y, H:i')} UTC."


def _posted(request: HttpRequest) -> QueryDict | None:
    return request.POST if request.method == "POST" else None


def _may_break(person: User) -> bool:
    return policies.breakable(person).exists()


def _person(request: HttpRequest) -> User:
    assert isinstance(request.user, User)  # noqa: S101  login_required has seen to it
    return request.user

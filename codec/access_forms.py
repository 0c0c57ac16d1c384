"""The forms on which people ask for access, answer, and take it in an emergency."""

from typing import Any

from django import forms

from codec.access_requests import LONGEST_HOURS, NO_NOTE
from codec.grants import MAX_REASON
from codec.models import NamespacePolicy
from keys.models import validate_namespace_name

_HOURS = {1: "1 hour", 4: "4 hours", 8: "8 hours", 24: "1 day", 72: "3 days", 168: "1 week", LONGEST_HOURS: "30 days"}
_MINUTES = {5: "5 minutes", 15: "15 minutes", 30: "30 minutes", 60: "1 hour", 120: "2 hours", 240: "4 hours"}
_MAX_NAME = 255
_MAX_TICKET = 60


class WhyForm(forms.Form):
    reason = forms.CharField(max_length=MAX_REASON, label="Why do you need it?")
    ticket = forms.CharField(max_length=_MAX_TICKET, required=False, label="Ticket (optional)")


class AskForm(WhyForm):
    """A request for access. What it takes does not depend on which namespaces there are."""

    namespace = forms.CharField(max_length=_MAX_NAME, label="Namespace", validators=[validate_namespace_name])
    hours = forms.TypedChoiceField(coerce=int, label="For how long?", choices=list(_HOURS.items()), initial=8)
    encode = forms.BooleanField(required=False, label="Encode too")
    field_order = ("namespace", "reason", "hours", "encode", "ticket")


class AnswerForm(forms.Form):
    """An approver's answer: the pressed button says which."""

    hours = forms.IntegerField(min_value=1, label="For how many hours?")
    note = forms.CharField(max_length=MAX_REASON, required=False, label="Note")
    answer = forms.ChoiceField(choices=[("approve", "Approve"), ("deny", "Deny")])

    def __init__(self, *args: Any, longest: int, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["hours"] = forms.IntegerField(
            min_value=1, max_value=longest, initial=longest, label="For how many hours?"
        )

    def clean(self) -> dict[str, Any]:
        data = super().clean() or {}
        if data.get("answer") == "deny" and not data.get("note"):
            self.add_error("note", NO_NOTE)
        return data


class BreakGlassForm(WhyForm):
    """Emergency access to the namespaces of these policies."""

    namespace = forms.CharField(max_length=_MAX_NAME, label="Namespace")
    minutes = forms.TypedChoiceField(coerce=int, label="For how long?")
    field_order = ("namespace", "reason", "minutes", "ticket")

    def __init__(self, *args: Any, policies: list[NamespacePolicy], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        names = [(policy.namespace.name, policy.namespace.name) for policy in policies]
        longest = max(policy.break_glass_minutes for policy in policies)
        self.fields["namespace"].widget = forms.Select(choices=names)
        self.fields["minutes"] = forms.TypedChoiceField(
            coerce=int, label="For how long?", choices=_minutes_up_to(longest), initial=min(30, longest)
        )


def _minutes_up_to(longest: int) -> list[tuple[int, str]]:
    shorter = [(minutes, text) for minutes, text in _MINUTES.items() if minutes < longest]
    return [*shorter, (longest, _MINUTES.get(longest, f"{longest} minutes"))]

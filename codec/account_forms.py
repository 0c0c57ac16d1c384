"""The forms of the pages about tokens."""

from collections.abc import Collection
from datetime import timedelta
from typing import Any

from django import forms
from django.conf import settings
from django.utils import timezone
from django.utils.formats import date_format

from codec.grants import grants_in_force
from codec.models import TOKEN_VERBS, User
from codec.tokens import MAX_NAME, MAX_REASON, Wish, refusal
from keys.models import Namespace

CHOSEN, EVERY = "chosen", "every"
_USUAL_DAYS = (1, 7, 30, 90, 180, 365)
_PROPOSED_DAYS = 30


class TokenForm(forms.Form):
    """What a new token shall be good for: at most what its owner is granted now."""

    name = forms.CharField(
        max_length=MAX_NAME,
        label="What is it for?",
        help_text="A name to know it again, such as “CLI on my laptop”.",
        error_messages={"required": "Name it, so that you know it again."},
    )
    decode = forms.BooleanField(required=False, initial=True)
    encode = forms.BooleanField(required=False)
    reach = forms.ChoiceField(
        choices=[(CHOSEN, "Only these"), (EVERY, "Every namespace")], initial=CHOSEN, widget=forms.RadioSelect
    )
    namespaces = forms.ModelMultipleChoiceField(
        Namespace.objects.none(), required=False, widget=forms.CheckboxSelectMultiple
    )
    days = forms.TypedChoiceField(coerce=int, label="How long does it last?")

    def __init__(self, *args: Any, owner: User, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.owner = owner
        grants = grants_in_force(owner)
        self.granted = Namespace.objects.filter(grants__in=grants).distinct()
        self._field("namespaces").queryset = self.granted
        self._field("namespaces").initial = self.granted if len(self.granted) == 1 else []
        self._field("days").choices = _lifetimes()
        self._field("days").initial = min(_PROPOSED_DAYS, settings.CODEC_TOKEN_MAX_DAYS)
        for verb in TOKEN_VERBS:
            if grants and not any(getattr(grant, verb) for grant in grants):
                del self.fields[verb]

    def clean(self) -> dict[str, Any]:
        data = super().clean() or {}
        if not self.errors and (why_not := refusal(self.owner, self.wish)):
            raise forms.ValidationError(why_not)
        return data

    @property
    def wish(self) -> Wish:
        data = self.cleaned_data
        chosen: Collection[Namespace] | None = None if data["reach"] == EVERY else list(data["namespaces"])
        verbs = {verb: data.get(verb, False) for verb in TOKEN_VERBS}
        return Wish(name=data["name"], days=data["days"], namespaces=chosen, **verbs)

    def _field(self, name: str) -> Any:
        return self.fields[name]


class ServiceTokenForm(TokenForm):
    reason = forms.CharField(
        max_length=MAX_REASON,
        label="Why?",
        help_text="A sentence for whoever reviews the audit records, e.g. a ticket number and why.",
    )

    def __init__(self, *args: Any, owner: User, **kwargs: Any) -> None:
        super().__init__(*args, owner=owner, **kwargs)
        self.fields["name"].help_text = "Where the token will live, such as “nightly export, production”."


class RevokeForm(forms.Form):
    """Why a token ends. Its owner need not say."""

    reason = forms.CharField(
        max_length=MAX_REASON, label="Why?", help_text="A sentence for whoever reviews the audit records."
    )

    def __init__(self, *args: Any, own: bool, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if own:
            del self.fields["reason"]


def _lifetimes() -> list[tuple[int, str]]:
    longest = settings.CODEC_TOKEN_MAX_DAYS
    return [(days, _until(days)) for days in sorted({*(d for d in _USUAL_DAYS if d < longest), longest})]


def _until(days: int) -> str:
    day = date_format(timezone.now() + timedelta(days=days), "j F Y")
    return f"{days} day{'' if days == 1 else 's'}, until {day}"

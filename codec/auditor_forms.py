"""What an auditor fills in to search the audit and to export it."""

from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from django import forms
from django.utils import timezone

from codec.pasted import NothingPasted, Pasted, read_pasted
from keys.audit_export import Selection
from keys.audit_formats import Format
from keys.models import Namespace

_USUAL_DAYS = 30


class SearchForm(forms.Form):
    """Payloads, pasted or in a file. When it is valid, `found` has them."""

    pasted = forms.CharField(
        label="Paste payloads",
        required=False,
        widget=forms.Textarea(attrs={"rows": 7, "spellcheck": "false", "class": "mono"}),
        help_text="JSON, as Temporal stores them: one payload, a list, or a whole history. Or the data of one alone, "
        "as the Web UI shows it.",
    )
    file = forms.FileField(
        label="Or drop a file",
        required=False,
        widget=forms.FileInput(attrs={"accept": ".json,application/json"}),
        help_text="A history that the Web UI or temporal workflow show --output json has exported, not decoded.",
    )
    namespace = forms.CharField(
        label="Namespace",
        required=False,
        widget=forms.TextInput(attrs={"list": "namespaces", "placeholder": "any", "autocomplete": "off"}),
    )

    found: Pasted

    def clean_namespace(self) -> str:
        """Refuse a name with a slip in it: nobody would be found, and that would look like an answer."""
        name: str = self.cleaned_data["namespace"]
        if name and not Namespace.objects.filter(name=name).exists():
            raise forms.ValidationError(f"There is no namespace {name}.")
        return name

    def clean(self) -> dict[str, Any]:
        data = super().clean() or {}
        if self.errors:
            return data
        text = data["file"].read() if data["file"] else data["pasted"].encode()
        if not text.strip():
            raise forms.ValidationError("Paste a payload, or choose a file.")
        try:
            self.found = read_pasted(text)
        except NothingPasted as error:
            raise forms.ValidationError(str(error)) from error
        return data


def _today() -> date:
    return timezone.now().date()


def _usual_start() -> date:
    return _today() - timedelta(days=_USUAL_DAYS - 1)


class ExportForm(forms.Form):
    since = forms.DateField(
        label="From", initial=_usual_start, widget=forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d")
    )
    until = forms.DateField(
        label="To, including", initial=_today, widget=forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d")
    )
    namespace = forms.CharField(
        required=False,
        widget=forms.TextInput(attrs={"list": "namespaces", "placeholder": "any", "autocomplete": "off"}),
    )
    person = forms.CharField(
        required=False, widget=forms.TextInput(attrs={"placeholder": "anybody", "autocomplete": "off"})
    )
    format = forms.ChoiceField(
        choices=[
            (Format.JSONL, "JSON Lines, with everything that is chained"),
            (Format.CSV, "CSV, for a spreadsheet"),
            (Format.OCSF, "OCSF events, for a SIEM"),
        ],
        initial=Format.JSONL,
        widget=forms.RadioSelect,
    )

    def clean(self) -> dict[str, Any]:
        data = super().clean() or {}
        if not self.errors and data["since"] > data["until"]:
            raise forms.ValidationError("The period ends before it begins.")
        return data

    def selection(self) -> Selection:
        data = self.cleaned_data
        return Selection(
            since=_midnight(data["since"]),
            until=_midnight(data["until"] + timedelta(days=1)),
            namespaces=tuple(filter(None, [data["namespace"]])),
            actors=tuple(filter(None, [data["person"]])),
        )


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)

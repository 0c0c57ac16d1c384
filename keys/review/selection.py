"""Which viewings a page shows: the filters, as a form and as a query."""

from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from django import forms
from django.db.models import QuerySet
from django.utils import timezone

from keys.review.models import Viewing, ViewingMark

EVERY = "all"
USUAL = timedelta(days=29)
STATUSES = [*Viewing.Status.choices, (EVERY, "All")]


class PeriodForm(forms.Form):
    """Days, both included, in UTC."""

    since = forms.DateField(label="From", required=False, widget=forms.DateInput(attrs={"type": "date"}))
    until = forms.DateField(label="To", required=False, widget=forms.DateInput(attrs={"type": "date"}))

    def clean(self) -> dict[str, Any]:
        data = super().clean() or {}
        since, until = data.get("since"), data.get("until")
        if since and until and since > until:
            raise forms.ValidationError("The period ends before it begins.")
        return data

    def days(self) -> tuple[date, date]:
        """Return the first and the last day: those that were asked for, or 30 days until the other, or until today."""
        since, until = self.cleaned_data.get("since"), self.cleaned_data.get("until")
        today = timezone.now().date()
        until = until or (max(today, since) if since else today)
        return since or until - USUAL, until


class SelectionForm(PeriodForm):
    """The filters of the list of viewings. What is left out does not narrow it; no status means not reviewed."""

    status = forms.ChoiceField(choices=STATUSES, required=False, widget=forms.HiddenInput)
    namespace = forms.CharField(
        label="Namespace", required=False, max_length=255, widget=forms.TextInput(attrs={"list": "namespaces"})
    )
    person = forms.CharField(required=False, max_length=150, widget=forms.TextInput(attrs={"list": "people"}))
    mark = forms.ChoiceField(choices=[("", "Any or none"), *ViewingMark.Kind.choices], required=False)
    field_order = ("namespace", "person", "mark", "since", "until", "status")

    @property
    def status_wanted(self) -> str:
        return str(self.cleaned_data.get("status") or Viewing.Status.OPEN)

    def viewings(self) -> QuerySet[Viewing]:
        """Return the viewings of every status, oldest first. The form has been validated; what is wrong is left out."""
        wanted = self.cleaned_data
        found = in_period(Viewing.objects.order_by("started_at", "pk"), wanted.get("since"), wanted.get("until"))
        if namespace := wanted.get("namespace"):
            found = found.filter(namespace=namespace)
        if person := wanted.get("person"):
            found = found.filter(actor_name=person)
        if mark := wanted.get("mark"):
            found = found.filter(marks__kind=mark)
        return found

    def is_narrowed(self) -> bool:
        return any(value for name, value in self.cleaned_data.items() if name != "status")


def with_status(viewings: QuerySet[Viewing], status: str) -> QuerySet[Viewing]:
    return viewings if status == EVERY else viewings.filter(status=status)


def in_period(viewings: QuerySet[Viewing], since: date | None, until: date | None) -> QuerySet[Viewing]:
    """Return those that began on these days, both included."""
    if since:
        viewings = viewings.filter(started_at__gte=_midnight(since))
    return viewings.filter(started_at__lt=_midnight(until) + timedelta(days=1)) if until else viewings


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time.min, UTC)

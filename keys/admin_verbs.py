"""The verbs on namespaces and keys as pages of the admin: the name of each, what it asks for, and what it calls."""

from collections.abc import Callable
from dataclasses import dataclass

from django import forms

from keys import lifecycle, namespaces, rotation
from keys.admin_pages import DangerousForm, ReasonForm
from keys.models import KeyVersion, Namespace


class DestructionForm(DangerousForm):
    days = forms.IntegerField(
        label="Wait (days)",
        min_value=lifecycle.SHORTEST_WAIT_DAYS,
        initial=lifecycle.DEFAULT_WAIT_DAYS,
        help_text="Until then the destruction can be cancelled.",
    )
    override = forms.BooleanField(
        required=False,
        label="Although Temporal may still keep payloads of this version",
        help_text="They can then never be read again. The reason above must say why that is right.",
    )


@dataclass(frozen=True, slots=True)
class PageVerb:
    """`name` is its last URL segment and the name of its template; `act` takes the row, actor, reason and form data.

    `done` is the sentence to show, formatted with what `act` returns.
    """

    name: str
    label: str
    act: Callable[..., KeyVersion | Namespace]
    done: str
    form: type[ReasonForm] = ReasonForm

    @property
    def is_dangerous(self) -> bool:
        return issubclass(self.form, DangerousForm)


ON_NAMESPACE = {
    verb.name: verb
    for verb in (
        PageVerb("rotate", "Rotate key", rotation.rotate_key, "Key {.key_id} is the new primary."),
        PageVerb(
            "publish",
            "Publish a version",
            rotation.publish_key,
            "Key {.key_id} decodes now. Promote it when Workers have it.",
        ),
        PageVerb(
            "retire",
            "Retire",
            namespaces.retire_namespace,
            "Nothing is decoded or encoded in {.name} any more.",
            DangerousForm,
        ),
        PageVerb("restore", "Restore", namespaces.restore_namespace, "{.name} is in use again."),
    )
}
ON_VERSION = {
    verb.name: verb
    for verb in (
        PageVerb("promote", "Promote", rotation.promote_key, "Key {.key_id} is the new primary."),
        PageVerb("enable", "Enable", lifecycle.enable, "Key {.key_id} decodes again."),
        PageVerb("disable", "Disable", lifecycle.disable, "Key {.key_id} decodes nothing any more.", DangerousForm),
        PageVerb(
            "schedule_destruction",
            "Schedule destruction",
            lifecycle.schedule_destruction,
            "Key {.key_id} decodes nothing any more and will be destroyed.",
            DestructionForm,
        ),
        PageVerb(
            "cancel_destruction",
            "Cancel destruction",
            lifecycle.cancel_destruction,
            "Key {.key_id} stays, DISABLED.",
        ),
    )
}


def verbs_for(version: KeyVersion) -> list[PageVerb]:
    """Return what a person may do with this version now, in the order of the page."""
    possible: list[str] = [*lifecycle.possible_verbs(version)]
    if version.state == KeyVersion.State.ENABLED and not version.is_primary:
        possible.append("promote")
    return [verb for name, verb in ON_VERSION.items() if name in possible]

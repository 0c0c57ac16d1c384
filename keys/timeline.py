"""A namespace's key versions as a person wants to see them: newest first, with age, use and what can be done."""

from dataclasses import dataclass
from datetime import timedelta

from django.utils import timezone

from keys import admin_verbs, usage
from keys.models import KeyVersion, Namespace


@dataclass(frozen=True, slots=True)
class Moment:
    """One key version on the timeline. `share_of_limit` is in percent, None without an expected rate."""

    version: KeyVersion
    age: timedelta
    use: usage.Use
    share_of_limit: float | None
    verbs: list[admin_verbs.PageVerb]

    @classmethod
    def of(cls, version: KeyVersion) -> "Moment":
        share = usage.estimated_share_of_limit(version)
        return cls(
            version=version,
            age=timezone.now() - version.created_at,
            use=usage.use_of(version),
            share_of_limit=None if share is None else round(share * 100, 1),
            verbs=admin_verbs.verbs_for(version),
        )


def timeline(namespace: Namespace) -> list[Moment]:
    versions = namespace.key_versions.select_related("namespace").order_by("-number")
    return [Moment.of(version) for version in versions]

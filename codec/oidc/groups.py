"""A person's groups at the provider become memberships in groups here, as the GroupMapping rows say.

Computed anew at each sign-in from the verified ID token. Memberships that came from the provider are kept as
ProvidedMembership rows, and only those are taken back; what an administrator gave by hand is left alone. A group here
can hold any permission but superuser or staff status, so the provider can give neither.
"""

from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.contrib.auth.models import Group
from django.db import transaction

from codec.memberships import by_provider
from codec.models import ProvidedMembership, User

SENT = "sent"
NOT_SENT = "not sent"
ONLY_A_LINK = "only a link sent"
MALFORMED = "not understood"


@dataclass(frozen=True, slots=True)
class Groups:
    """Whether the provider sent groups (`said` is one of the constants above), and which."""

    said: str
    names: frozenset[str] = frozenset()


def read(claims: dict[str, Any]) -> Groups:
    """Read the groups claim of a verified ID token.

    Microsoft Entra ID sends a link in place of more than 200 groups (`_claim_names`); Google sends none.
    """
    name = settings.CODEC_OIDC_GROUPS_CLAIM
    if name in claims:
        given = [claims[name]] if isinstance(claims[name], str) else claims[name]
        if not isinstance(given, list) or not all(isinstance(item, str) for item in given):
            return Groups(MALFORMED)
        return Groups(SENT, frozenset(given))
    linked = claims.get("_claim_names")
    return Groups(ONLY_A_LINK if isinstance(linked, dict) and name in linked else NOT_SENT)


@transaction.atomic
def apply(user: User, issuer: str, claims: dict[str, Any]) -> None:
    """Give and take back memberships. Without groups in the token nothing is changed.

    Each change is recorded by codec.people as user:groups-changed.
    """
    groups = read(claims)
    if groups.said == SENT:
        wanted = set(Group.objects.filter(mappings__issuer=issuer, mappings__provider_group__in=groups.names))
        _take_back(user, wanted)
        _give(user, issuer, wanted)


def _take_back(user: User, wanted: set[Group]) -> None:
    """Also what another provider gave: the one that people sign in at now is the one that counts."""
    rows = list(user.provided_memberships.exclude(group__in=wanted).select_related("group"))
    user.groups.remove(*(row.group for row in rows))
    for row in rows:
        row.delete()


def _give(user: User, issuer: str, wanted: set[Group]) -> None:
    """Leave the memberships that are there as they are: one given by hand stays one given by hand."""
    new = wanted - set(user.groups.all())
    with by_provider():
        user.groups.add(*new)
    for group in new:
        ProvidedMembership.objects.update_or_create(user=user, group=group, defaults={"issuer": issuer})

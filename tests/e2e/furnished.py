"""An installation that has been in use for a while: something in every list, somebody in every role.

`furnish` runs inside the installation (`manage.py shell`, after `setup_roles`) and prints, as JSON, what pages are
addressed by.
The cast: alice may read, erin answers requests, mallory has nothing, olga is on call, carol audits, keith looks after
keys, bob administers.
"""

import json
from collections.abc import Mapping
from datetime import timedelta

from django.contrib.auth.hashers import PBKDF2PasswordHasher
from django.contrib.auth.models import Group
from django.utils import timezone

from codec import access_requests, break_glass, tokens
from codec.grants import give_grant, revoke_grant
from codec.models import GroupMapping, Identity, Invitation, NamespacePolicy, User
from codec.services import create_service
from codec.tokens import Wish
from keys.actor import Actor, ActorKind
from keys.lifecycle import disable, schedule_destruction
from keys.models import AuditRecord, Namespace
from keys.namespaces import retire_namespace
from keys.rotation import create_namespace, publish_key, rotate_key, schedule_rotation

NAMES = ("alice", "erin", "mallory", "olga", "carol", "keith", "bob")
ISSUER = "https://login.example.com"
OPERATOR = Actor(kind=ActorKind.COMMAND, name="ops")
ROLE = {"carol": "auditor", "keith": "key custodian", "erin": "grant approver"}


def furnish(passwords: Mapping[str, str]) -> None:
    """Make everything, and print the primary keys by which pages are found."""
    people = _people(passwords)
    payments, refunds, legacy = (create_namespace(name, actor=OPERATOR) for name in ("payments", "refunds", "legacy"))
    ids = _keys(payments, refunds, legacy)
    ids |= _access(people, payments, refunds) | _tokens(people, payments) | _single_sign_on(people["alice"])
    record = AuditRecord.objects.filter(action="grant:given").latest("at").pk
    print(json.dumps(ids | {"auditrecord": record}))  # noqa: T201


def _people(passwords: Mapping[str, str]) -> dict[str, User]:
    people = {name: User(username=name, email=f"{name}@example.com") for name in NAMES}
    for name, person in people.items():
        person.password = PBKDF2PasswordHasher().encode(passwords[name], "salt", iterations=1)  # quick; they are random
        person.save()
    for name, role in ROLE.items():
        people[name].is_staff = True
        people[name].save()
        people[name].groups.add(Group.objects.get(name=role))
    people["bob"].is_staff = people["bob"].is_superuser = True
    people["bob"].save()
    for name, member in (("payments approvers", "erin"), ("on call", "olga"), ("payments team", "alice")):
        people[member].groups.add(Group.objects.create(name=name))
    return people


def _keys(payments: Namespace, refunds: Namespace, legacy: Namespace) -> dict[str, int]:
    """`payments` has a version in every state but destroyed, `refunds` its first, `legacy` is retired."""
    doomed = payments.key_versions.get()
    disabled = rotate_key(payments, actor=OPERATOR, reason="quarterly rotation")
    former = rotate_key(payments, actor=OPERATOR, reason="a laptop with the old key was stolen")
    primary = rotate_key(payments, actor=OPERATOR, reason="quarterly rotation")
    publish_key(payments, actor=OPERATOR, reason="the next one, for the Workers")
    schedule_destruction(doomed, actor=OPERATOR, reason="no history needs it", override=True)
    disable(disabled, actor=OPERATOR, reason="a laptop with it was stolen")
    schedule_rotation(refunds, 90)
    retire_namespace(legacy, actor=OPERATOR, reason="moved to payments")
    return {
        "namespace": payments.pk,
        "retired": legacy.pk,
        "primary": primary.pk,
        "former": former.pk,
        "disabled": disabled.pk,
        "doomed": doomed.pk,
    }


def _access(people: Mapping[str, User], payments: Namespace, refunds: Namespace) -> dict[str, int]:
    approvers, on_call = (Group.objects.get(name=name) for name in ("payments approvers", "on call"))
    policy = NamespacePolicy.objects.create(namespace=payments, approvers=approvers, break_glass_group=on_call)
    NamespacePolicy.objects.create(namespace=refunds, max_request_hours=24)
    grant = _grants(people, payments, refunds)
    asked = _requests(people, payments)
    break_glass.take(
        people["olga"],
        "payments",
        minutes=60,
        reason="All payments fail and nobody answers",
        ticket="INC-204",
        actor=acting(people["olga"]),
    )
    group = Group.objects.get(name="payments team").pk
    return {
        "namespacepolicy": policy.pk,
        "grant": grant,
        "accessrequest": asked,
        "group": group,
        "user": people["alice"].pk,
    }


def _grants(people: Mapping[str, User], payments: Namespace, refunds: Namespace) -> int:
    """Grants in every state; returns one of alice's."""
    now, bob = timezone.now(), acting(people["bob"])
    until = now + timedelta(days=30)
    team = Group.objects.get(name="payments team")
    grant = give_grant(
        people["alice"],
        payments,
        decode=True,
        encode=True,
        ends_at=until,
        reason="on call for payments",
        ticket="OPS-7",
        actor=bob,
    )
    give_grant(
        team, refunds, decode=True, ends_at=now + timedelta(days=3), reason="refunds of the spring sale", actor=bob
    )
    give_grant(
        people["keith"],
        payments,
        decode=True,
        starts_at=now + timedelta(days=2),
        ends_at=until,
        reason="will take over on Monday",
        actor=bob,
    )
    revoked = give_grant(people["keith"], refunds, decode=True, ends_at=until, reason="trying it out", actor=bob)
    revoke_grant(revoked, actor=bob, reason="not needed any more")
    return grant.pk


def _requests(people: Mapping[str, User], payments: Namespace) -> int:
    """mallory's was denied, keith's waits, alice's was approved. Returns the one that waits."""
    alice, erin, keith, mallory = (people[name] for name in ("alice", "erin", "keith", "mallory"))
    denied = access_requests.ask(mallory, "payments", hours=72, reason="I am curious", actor=acting(mallory))
    access_requests.deny(denied, approver=erin, note="Please ask with a ticket.", actor=acting(erin))
    access_requests.ask(mallory, "refunds", hours=8, reason="Customer 4711 asks for her refund", actor=acting(mallory))
    approved = access_requests.ask(alice, "payments", hours=4, reason="Checking payment-1042", actor=acting(alice))
    access_requests.approve(approved, approver=erin, hours=2, note="", actor=acting(erin))
    waits = access_requests.ask(
        keith,
        "payments",
        hours=24,
        reason="Customer 4711 asks where her payment is",
        ticket="OPS-12",
        actor=acting(keith),
    )
    return waits.pk


def _tokens(people: Mapping[str, User], payments: Namespace) -> dict[str, int]:
    alice, service = people["alice"], create_service("reporting", Group.objects.get(name="payments team"))
    give_grant(
        service,
        payments,
        decode=True,
        reason="monthly report",
        ends_at=timezone.now() + timedelta(days=90),
        actor=OPERATOR,
    )
    kept, _ = tokens.make_token(alice, Wish(name="laptop", days=30, decode=True), actor=acting(alice))
    old, _ = tokens.make_token(
        alice, Wish(name="old laptop", days=30, namespaces=[payments], decode=True, encode=True), actor=acting(alice)
    )
    tokens.revoke_token(old, actor=acting(alice), reason="lost")
    tokens.make_token(service, Wish(name="cron job", days=90, decode=True), actor=OPERATOR, reason="monthly report")
    return {"apitoken": kept.pk, "service": service.pk}


def _single_sign_on(alice: User) -> dict[str, int]:
    identity = Identity.objects.create(user=alice, issuer=ISSUER, subject="00u1a2b3c4")
    invitation = Invitation.objects.create(user=alice, email="alice@example.com", issuer=ISSUER, invited_by="bob")
    team = Group.objects.get(name="payments team")
    mapping = GroupMapping.objects.create(issuer=ISSUER, provider_group="payments-readers", group=team)
    return {"identity": identity.pk, "invitation": invitation.pk, "groupmapping": mapping.pk}


def acting(person: User) -> Actor:
    return Actor(kind=ActorKind.USER, id=str(person.pk), name=person.username, address="10.2.3.4")

"""Who may, as a table; deny by default. The functions are pure, so nothing here needs a database."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from django.contrib.auth.models import Group
from hypothesis import given, settings
from hypothesis import strategies as st

from codec.authorization import (
    Allowed,
    Denied,
    Standing,
    authorize_decode,
    authorize_download,
    authorize_encode,
    authorize_lease,
    authorize_presence,
)
from codec.callers.principal import Principal, Right
from codec.models import Grant, User
from keys.models import Namespace

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
AUTHORIZE = {
    "decode": authorize_decode,
    "encode": authorize_encode,
    "download": authorize_download,
    "lease": authorize_lease,
}
EVERY_VERB = [*AUTHORIZE.values(), authorize_presence]

PAYMENTS, REFUNDS = Namespace(pk=1, name="payments"), Namespace(pk=2, name="refunds")
ALICE, BATCH = User(pk=1, username="alice"), User(pk=2, username="batch", is_service=True)
MALLORY, BOB = User(pk=3, username="mallory"), User(pk=4, username="bob", is_superuser=True, is_staff=True)
SUPPORT = Group(pk=7, name="support")

PERIODS = {
    "now": {"starts_at": NOW - HOUR, "ends_at": NOW + HOUR},
    "open-ended": {"starts_at": NOW - HOUR, "ends_at": None},
    "from this moment": {"starts_at": NOW, "ends_at": NOW + HOUR},
    "until this moment": {"starts_at": NOW - HOUR, "ends_at": NOW},
    "past": {"starts_at": NOW - 2 * HOUR, "ends_at": NOW - HOUR},
    "future": {"starts_at": NOW + HOUR, "ends_at": NOW + 2 * HOUR},
    "open-ended future": {"starts_at": NOW + HOUR, "ends_at": None},
    "revoked": {"starts_at": NOW - HOUR, "ends_at": NOW + HOUR, "revoked_at": NOW},
}
WHY_NOT = {
    "until this moment": "grant_expired",
    "past": "grant_expired",
    "future": "grant_not_yet",
    "open-ended future": "grant_not_yet",
    "revoked": "grant_revoked",
}


def principal(user: User, **more: object) -> Principal:
    return Principal(user.pk, user.username, "session x", **more)


def grant_to(subject: User | Group, *verbs: str, on: Namespace = PAYMENTS, **period: object) -> Grant:
    to = {"user": subject} if isinstance(subject, User) else {"group": subject}
    return Grant(**to, namespace=on, **dict.fromkeys(verbs, True), **(PERIODS["now"] | period))


def standing(*grants: Grant, groups: tuple[Group, ...] = ()) -> Standing:
    return Standing(frozenset(group.pk for group in groups), grants)


def decide(authorize, user, *grants, namespace=PAYMENTS, groups=(), **more):
    return authorize(principal(user, **more), namespace, standing(*grants, groups=groups), now=NOW)


# The table: whom the grant names, which verb, when --------------------------------------------------------------------


@pytest.mark.parametrize("period", PERIODS)
@pytest.mark.parametrize("asked", AUTHORIZE)
@pytest.mark.parametrize(
    ("caller", "groups", "subject"),
    [(ALICE, (), ALICE), (BATCH, (), BATCH), (ALICE, (SUPPORT,), SUPPORT), (BATCH, (SUPPORT,), SUPPORT)],
    ids=["user", "service", "group of a user", "group of a service"],
)
class TestTable:
    def test_grant_of_the_verb_allows_within_its_period(self, caller, groups, subject, asked, period):
        grant = grant_to(subject, asked, **PERIODS[period])
        expected = Denied(WHY_NOT[period]) if period in WHY_NOT else Allowed(grant, until=grant.ends_at)
        assert decide(AUTHORIZE[asked], caller, grant, groups=groups) == expected

    def test_grant_of_all_other_verbs_does_not(self, caller, groups, subject, asked, period):
        others = grant_to(subject, *(AUTHORIZE.keys() - {asked}), **PERIODS[period])
        expected = "no_grant" if period in WHY_NOT else "verb_not_granted"
        assert decide(AUTHORIZE[asked], caller, others, groups=groups) == Denied(expected)


@pytest.mark.parametrize("authorize", EVERY_VERB)
class TestDenied:
    def test_without_a_grant(self, authorize):
        assert decide(authorize, MALLORY) == Denied("no_grant")

    def test_with_the_grant_of_another(self, authorize):
        assert decide(authorize, MALLORY, grant_to(ALICE, *AUTHORIZE)) == Denied("no_grant")

    def test_superuser_without_a_grant(self, authorize):
        assert decide(authorize, BOB, grant_to(ALICE, *AUTHORIZE)) == Denied("no_grant")

    def test_with_a_grant_on_another_namespace(self, authorize):
        assert decide(authorize, ALICE, grant_to(ALICE, *AUTHORIZE, on=REFUNDS)) == Denied("no_grant")

    def test_with_the_grant_of_a_group_that_one_is_not_in(self, authorize):
        assert decide(authorize, MALLORY, grant_to(SUPPORT, *AUTHORIZE)) == Denied("no_grant")

    def test_in_a_group_whose_number_is_that_of_the_granted_user(self, authorize):
        lookalike = Group(pk=ALICE.pk, name="lookalike")
        assert decide(authorize, MALLORY, grant_to(ALICE, *AUTHORIZE), groups=(lookalike,)) == Denied("no_grant")

    def test_in_a_retired_namespace(self, authorize):
        retired = Namespace(pk=PAYMENTS.pk, name="payments", retired_at=NOW - HOUR)
        assert decide(authorize, ALICE, grant_to(ALICE, *AUTHORIZE), namespace=retired) == Denied("namespace_retired")

    def test_in_a_namespace_that_does_not_exist(self, authorize):
        assert decide(authorize, ALICE, grant_to(ALICE, *AUTHORIZE), namespace=None) == Denied("no_such_namespace")

    @pytest.mark.parametrize("limits", [frozenset(), frozenset({Right("refunds", "decode")})])
    def test_beyond_the_limits_of_the_token(self, authorize, limits):
        denied = Denied("beyond_token_limits")
        assert decide(authorize, ALICE, grant_to(ALICE, *AUTHORIZE), limits=limits) == denied


@pytest.mark.parametrize("verb", AUTHORIZE)
def test_any_verb_allows_to_learn_how_the_namespace_is_set_up(verb):
    assert isinstance(decide(authorize_presence, ALICE, grant_to(ALICE, verb)), Allowed)


@pytest.mark.parametrize(
    ("states", "reason"),
    [
        (["past", "future", "revoked"], "grant_not_yet"),
        (["revoked", "past"], "grant_expired"),
        (["revoked"], "grant_revoked"),
    ],
)
def test_reason_is_the_most_hopeful_of_several(states, reason):
    grants = [grant_to(ALICE, "decode", **PERIODS[state]) for state in states]
    assert decide(authorize_decode, ALICE, *grants, grant_to(ALICE, "encode")) == Denied(reason)


# Until when -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ends", "credential_ends", "until"),
    [
        ([NOW + HOUR], None, NOW + HOUR),
        ([NOW + HOUR, NOW + 3 * HOUR, NOW + 2 * HOUR], None, NOW + 3 * HOUR),
        ([NOW + HOUR, None], None, None),
        ([NOW + HOUR], NOW + 2 * HOUR, NOW + HOUR),
        ([NOW + 2 * HOUR], NOW + HOUR, NOW + HOUR),
        ([None], NOW + HOUR, NOW + HOUR),
    ],
)
def test_permission_ends_with_the_first_thing_it_rests_on(ends, credential_ends, until):
    grants = [grant_to(ALICE, "decode", ends_at=end) for end in ends]
    assert decide(authorize_decode, ALICE, *grants, until=credential_ends).until == until


def test_longest_grant_is_named_whether_to_the_user_or_the_group():
    own, groups = grant_to(ALICE, "decode"), grant_to(SUPPORT, "decode", ends_at=NOW + 2 * HOUR)
    assert decide(authorize_decode, ALICE, own, groups, groups=(SUPPORT,)).grant is groups


def test_permission_by_a_claim_ends_with_the_token():
    claims = frozenset({Right("payments", "decode")})
    allowed = Allowed(None, until=NOW + HOUR)
    assert decide(authorize_decode, MALLORY, claims=claims, until=NOW + HOUR) == allowed


def test_claim_allows_nothing_elsewhere():
    claims = frozenset({Right("payments", "decode")})
    assert decide(authorize_decode, MALLORY, namespace=REFUNDS, claims=claims) == Denied("no_grant")
    assert decide(authorize_encode, MALLORY, claims=claims) == Denied("no_grant")


# Properties -----------------------------------------------------------------------------------------------------------

verbs = st.sets(st.sampled_from(list(AUTHORIZE)), min_size=1)
moments = st.integers(-1000, 1000).map(lambda minutes: NOW + timedelta(minutes=minutes))
ends = st.none() | moments


@st.composite
def grants(draw, subjects=(ALICE, BATCH, MALLORY, SUPPORT), on=(PAYMENTS, REFUNDS), ended=False):
    end = draw(moments.filter(lambda moment: moment <= NOW) if ended else ends)
    start = draw(moments) if end is None else end - timedelta(minutes=draw(st.integers(1, 1000)))
    revoked = draw(st.none() | st.just(NOW - HOUR))
    period = {"starts_at": start, "ends_at": end, "revoked_at": revoked}
    return grant_to(draw(st.sampled_from(subjects)), *draw(verbs), on=draw(st.sampled_from(on)), **period)


principals = st.builds(
    replace,
    st.sampled_from([ALICE, BATCH, MALLORY]).map(principal),
    limits=st.none() | st.just(frozenset({Right("payments", "decode"), Right(None, "encode")})),
    until=st.none() | st.just(NOW + HOUR),
)
groups_of = st.sampled_from([(), (SUPPORT,)])


def outcome(decision):
    """What a decision comes to: the reason of a denial may change, not that it is one."""
    return (True, decision.grant, decision.until) if isinstance(decision, Allowed) else (False, None, None)


def put_in(held: list[Grant], extra: Grant, where: int) -> tuple[Grant, ...]:
    return (*held[:where], extra, *held[where:])


@given(principals, groups_of, st.lists(grants(), max_size=5), grants(ended=True), st.integers(0, 5))
@settings(deadline=None)
def test_expired_grant_never_changes_a_decision(caller, groups, held, expired, where):
    for authorize in EVERY_VERB:
        before = authorize(caller, PAYMENTS, standing(*held, groups=groups), now=NOW)
        after = authorize(caller, PAYMENTS, standing(*put_in(held, expired, where), groups=groups), now=NOW)
        assert outcome(before) == outcome(after)


foreign = st.one_of(grants(on=(REFUNDS,)), grants(subjects=(BOB, Group(pk=8, name="others"))))


@given(principals, groups_of, st.lists(grants(), max_size=5), foreign, st.integers(0, 5))
@settings(deadline=None)
def test_foreign_grant_never_changes_a_decision_nor_its_reason(caller, groups, held, other, where):
    for authorize in EVERY_VERB:
        before = authorize(caller, PAYMENTS, standing(*held, groups=groups), now=NOW)
        assert authorize(caller, PAYMENTS, standing(*put_in(held, other, where), groups=groups), now=NOW) == before


@given(principals, groups_of, st.lists(grants(), max_size=5))
@settings(deadline=None)
def test_permission_holds_until_the_moment_it_names_and_not_at_it(caller, groups, held):
    caller, loaded = replace(caller, until=None), standing(*held, groups=groups)
    for authorize in EVERY_VERB:
        decision = authorize(caller, PAYMENTS, loaded, now=NOW)
        if isinstance(decision, Allowed) and decision.until is not None:
            just_before = decision.until - timedelta(microseconds=1)
            assert isinstance(authorize(caller, PAYMENTS, loaded, now=just_before), Allowed)
            later = authorize(caller, PAYMENTS, loaded, now=decision.until)
            assert later != decision

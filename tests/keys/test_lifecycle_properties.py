"""Whatever is done to keys, in whatever order: one primary, no id twice, and nothing ENABLED that does not decrypt."""

from datetime import timedelta

import pytest
from django.db import transaction
from django.utils import timezone
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from keys import keyring, lifecycle, rotation
from keys.errors import KeysError
from keys.models import KeyVersion, Namespace
from tests.conftest import OPERATOR

WHY = {"actor": OPERATOR, "reason": "property"}
index = st.integers(min_value=0, max_value=10)


class KeyLife(RuleBasedStateMachine):
    """Operations picked at random; a refused one must change nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.scope = transaction.atomic()
        self.scope.__enter__()
        self.namespace = rotation.create_namespace("property", actor=OPERATOR)
        self.seen: dict[str, int] = {}

    def teardown(self) -> None:
        transaction.set_rollback(True)
        self.scope.__exit__(None, None, None)

    def pick(self, number: int) -> KeyVersion:
        versions = list(self.namespace.key_versions.order_by("number"))
        return versions[number % len(versions)]

    def try_to(self, act, *args, **kwargs) -> None:
        before = list(self.namespace.key_versions.values())
        try:
            with transaction.atomic():
                act(*args, **kwargs)
        except KeysError:
            assert list(self.namespace.key_versions.values()) == before

    @rule()
    def rotate(self) -> None:
        rotation.rotate_key(self.namespace, **WHY)

    @rule()
    def publish(self) -> None:
        rotation.publish_key(self.namespace, **WHY)

    @rule(key=st.binary(min_size=30, max_size=32), key_id=st.sampled_from(["a", "b", "c"]), primary=st.booleans())
    def import_key(self, key: bytes, key_id: str, primary: bool) -> None:
        self.try_to(rotation.import_key, self.namespace, key_id, key, primary=primary, actor=OPERATOR)

    @rule(number=index, verb=st.sampled_from([lifecycle.disable, lifecycle.enable, lifecycle.cancel_destruction]))
    def move(self, number: int, verb) -> None:
        self.try_to(verb, self.pick(number), **WHY)

    @rule(number=index)
    def promote(self, number: int) -> None:
        self.try_to(rotation.promote_key, self.pick(number), **WHY)

    @rule(number=index, override=st.booleans())
    def schedule_destruction(self, number: int, override: bool) -> None:
        self.try_to(lifecycle.schedule_destruction, self.pick(number), **WHY, override=override)

    @precondition(lambda self: self.namespace.key_versions.filter(state="DESTROY_SCHEDULED").exists())
    @rule()
    def wait_a_month(self) -> None:
        lifecycle.destroy_due(actor=OPERATOR, now=timezone.now() + timedelta(days=31))

    @invariant()
    def has_one_primary_and_it_is_enabled(self) -> None:
        assert self.namespace.key_versions.get(is_primary=True).state == KeyVersion.State.ENABLED

    @invariant()
    def no_id_is_used_again(self) -> None:
        for version in self.namespace.key_versions.all():
            assert self.seen.setdefault(version.key_id, version.number) == version.number

    @invariant()
    def every_enabled_version_decrypts(self) -> None:
        for version in self.namespace.key_versions.filter(state=KeyVersion.State.ENABLED):
            version.namespace = Namespace(name="property")
            assert len(keyring.unwrap(version)) == 32


@pytest.mark.django_db
def test_no_sequence_of_operations_breaks_the_rules():
    quick = settings(
        max_examples=25, stateful_step_count=25, deadline=None, suppress_health_check=list(HealthCheck), database=None
    )
    run_state_machine_as_test(KeyLife, settings=quick)

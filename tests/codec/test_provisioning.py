"""Who is expected from the provider: by command and in the admin, for superusers, and recorded."""

import pytest
from django.contrib.auth.models import Group
from django.core.management import CommandError
from django.utils import timezone

from codec.grants import give_grant
from codec.models import GroupMapping, Identity, Invitation, User
from keys.models import AuditRecord
from tests.commands import manage
from tests.conftest import OPERATOR, CodecClient, signed_in

ISSUER = "https://login.example.com"


@pytest.fixture(autouse=True)
def issuer(settings):
    settings.CODEC_OIDC_ISSUER = ISSUER


@pytest.fixture
def staff(alice) -> CodecClient:
    """A person with every permission but that of a superuser."""
    from django.contrib.auth.models import Permission

    alice.is_staff = True
    alice.save()
    alice.user_permissions.set(Permission.objects.all())
    return signed_in(alice)


def recorded(action: str) -> dict:
    return AuditRecord.objects.get(action=action).details


# By command -----------------------------------------------------------------------------------------------------------


def test_invite_makes_a_user_without_password_and_an_invitation(db):
    assert "Carol@example.com will be carol" in manage("invite", "carol", "--email", "Carol@example.com")
    invitation = Invitation.objects.get()
    assert (invitation.user.username, invitation.email, invitation.issuer) == ("carol", "carol@example.com", ISSUER)
    assert not invitation.user.has_usable_password()
    assert recorded("identity:invited")["email"] == "carol@example.com"


def test_invite_takes_a_user_that_is_there(alice):
    manage("invite", "alice", "--email", "alice@example.com")
    assert User.objects.count() == 1


def test_invite_by_subject_binds_at_once(alice):
    manage("invite", "alice", "--subject", "8f2c")
    assert Identity.objects.get().user == alice
    assert recorded("identity:bound")["subject"] == "8f2c"


@pytest.mark.parametrize(
    "who", [("--email", "älice@example.com"), ("--email", ""), ("--email", "carol"), ("--subject", "x" * 256)]
)
def test_invite_refuses_what_no_provider_could_say(db, who):
    with pytest.raises(CommandError):
        manage("invite", "carol", *who)
    assert not User.objects.exists()


def test_address_is_invited_once(alice, mallory):
    manage("invite", "alice", "--email", "a@example.com")
    with pytest.raises(CommandError, match="already"):
        manage("invite", "mallory", "--email", "A@example.com")


def test_subject_is_bound_once(alice, mallory):
    manage("invite", "alice", "--subject", "8f2c")
    with pytest.raises(CommandError, match="already"):
        manage("invite", "mallory", "--subject", "8f2c")


def test_invite_needs_an_issuer(alice):
    with pytest.raises(CommandError, match="CODEC_OIDC_ISSUER"):
        manage("invite", "alice", "--email", "alice@example.com", "--issuer", "")


def test_service_is_never_invited(alice):
    group = Group.objects.create(name="workers")
    service = User(username="worker", is_service=True, owner_group=group)
    service.set_unusable_password()
    service.save()
    with pytest.raises(CommandError, match="cannot sign in"):
        manage("invite", "worker", "--subject", "8f2c")


# In the admin ---------------------------------------------------------------------------------------------------------


def test_page_invites(bobs_browser, alice):
    form = {"user": alice.pk, "issuer": ISSUER, "email": "alice@example.com"}
    assert bobs_browser.post("/admin/codec/invitation/add/", form).status_code == 302
    assert Invitation.objects.get().invited_by == "bob"
    assert AuditRecord.objects.get(action="identity:invited").actor_name == "bob"


def test_page_names_the_issuer_that_is_configured(bobs_browser):
    assert ISSUER in bobs_browser.get("/admin/codec/invitation/add/").content.decode()


def test_page_refuses_an_address_outside_ascii(bobs_browser, alice):
    form = {"user": alice.pk, "issuer": ISSUER, "email": "älice@example.com"}
    assert bobs_browser.post("/admin/codec/invitation/add/", form).status_code == 200
    assert not Invitation.objects.exists()


def test_page_withdraws_an_invitation(bobs_browser, alice):
    manage("invite", "alice", "--email", "alice@example.com")
    bobs_browser.post(f"/admin/codec/invitation/{Invitation.objects.get().pk}/delete/", {"post": "yes"})
    assert not Invitation.objects.exists()
    assert recorded("identity:uninvited")["user"] == "alice"


@pytest.mark.parametrize("state", ["open", "used"])
def test_list_of_invitations_is_narrowed_to_a_state(bobs_browser, alice, state):
    manage("invite", "alice", "--email", "alice@example.com")
    Invitation.objects.update(bound_at=timezone.now())
    manage("invite", "alice", "--email", "a.liddell@example.com")
    page = bobs_browser.get(f"/admin/codec/invitation/?state={state}").content.decode()
    assert ("alice@example.com" in page, "a.liddell@" in page) == (state == "used", state == "open")


def test_page_binds_and_unbinds_a_subject(bobs_browser, alice):
    bobs_browser.post("/admin/codec/identity/add/", {"user": alice.pk, "issuer": ISSUER, "subject": "8f2c"})
    identity = Identity.objects.get()
    bobs_browser.post(f"/admin/codec/identity/{identity.pk}/delete/", {"post": "yes"})
    assert not Identity.objects.exists()
    assert recorded("identity:bound") == recorded("identity:unbound")


def test_page_maps_and_unmaps_a_group(bobs_browser):
    group = Group.objects.create(name="readers")
    form = {"issuer": ISSUER, "provider_group": "payments-readers", "group": group.pk}
    bobs_browser.post("/admin/codec/groupmapping/add/", form)
    mapping = GroupMapping.objects.get()
    assert recorded("group:mapped") == {"issuer": ISSUER, "provider_group": "payments-readers", "group": "readers"}
    bobs_browser.post(f"/admin/codec/groupmapping/{mapping.pk}/delete/", {"post": "yes"})
    assert not GroupMapping.objects.exists()
    assert recorded("group:unmapped")["group"] == "readers"


@pytest.mark.parametrize("model", ["invitation", "identity", "groupmapping"])
@pytest.mark.parametrize("page", ["", "add/"])
def test_pages_are_for_superusers(staff, bobs_browser, model, page):
    assert staff.get(f"/admin/codec/{model}/{page}").status_code == 403
    assert bobs_browser.get(f"/admin/codec/{model}/{page}").status_code == 200


def test_page_tells_what_a_deletion_changes(bobs_browser, alice):
    bobs_browser.post("/admin/codec/identity/add/", {"user": alice.pk, "issuer": ISSUER, "subject": "8f2c"})
    page = bobs_browser.get(f"/admin/codec/identity/{Identity.objects.get().pk}/delete/").content.decode()
    assert "Can it be undone?" in page
    assert "is no longer alice here" in page


def test_page_tells_why_a_group_with_grants_is_kept(bobs_browser, payments):
    group = Group.objects.create(name="readers")
    give_grant(group, payments, decode=True, actor=OPERATOR, reason="on call")
    page = bobs_browser.get(f"/admin/auth/group/{group.pk}/delete/").content.decode()
    assert "readers cannot be deleted" in page
    assert 'value="yes"' not in page

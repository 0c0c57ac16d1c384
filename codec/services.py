"""Services: machines that call with a token. A service belongs to a group, has no password and cannot sign in.

What a service may do is a matter of grants, as for people.
"""

from django.contrib.auth.models import Group
from django.core.exceptions import ValidationError

from codec.models import User


class ServiceRefused(Exception):
    """The service cannot be created; the message says why and may be shown."""


def create_service(name: str, group: Group) -> User:
    """Create a service. As for every user, codec.people records it. Raises ServiceRefused."""
    service = User(username=name, is_service=True, owner_group=group)
    service.set_unusable_password()
    try:
        service.full_clean()
    except ValidationError as error:
        raise ServiceRefused(" ".join(error.messages)) from error
    service.save()
    return service


def find_group(name: str) -> Group:
    """Return the group. Raises ServiceRefused."""
    group = Group.objects.filter(name=name).first()
    if group is None:
        raise ServiceRefused(f"There is no group {name}.")
    return group


def ids_of_services(user_id: str) -> set[str]:
    """Return the ids of services that belong to a group of this user: what they read counts as the user's own."""
    if not user_id.isdecimal():
        return set()
    services = User.objects.filter(is_service=True, owner_group__user=int(user_id))
    return {str(pk) for pk in services.values_list("pk", flat=True)}

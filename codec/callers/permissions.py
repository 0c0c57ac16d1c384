"""Rights from a token's permissions claim, as Temporal's default claim mapper reads it.

`<namespace>:<role>`, split at the first colon, the role in any letter case; what does not fit is skipped
(temporalio/temporal common/authorization/default_jwt_claim_mapper.go). The namespace `temporal-system` is a role in the
Temporal cluster, not in a namespace: it gives nothing here, as in Temporal's sample codec server (samples-go
codec-server/oidc.go). A namespace of every name is not expressible.
"""

from codec.callers.principal import Right
from keys.names import is_namespace_name

_SYSTEM = "temporal-system"
_READ = ("decode",)
_WRITE = ("decode", "encode")
_VERBS = {"read": _READ, "write": _WRITE, "worker": _WRITE, "admin": _WRITE}


def rights(claim: object) -> frozenset[Right]:
    """Return the rights that the claim's value gives; none if it is not a list."""
    if not isinstance(claim, list):
        return frozenset()
    return frozenset(right for entry in claim if isinstance(entry, str) for right in _read(entry))


def _read(entry: str) -> list[Right]:
    namespace, _, role = entry.partition(":")
    if namespace == _SYSTEM or not is_namespace_name(namespace):
        return []
    return [Right(namespace, verb) for verb in _VERBS.get(role.lower(), ())]

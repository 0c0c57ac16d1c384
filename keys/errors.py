"""What can go wrong in the vault. Messages name things and causes, never key material."""


class KeysError(Exception):
    """Base: the operation was refused or is impossible; the message may be shown to an operator."""


class InvalidName(KeysError):
    """A namespace or key id that does not follow the naming rule."""


class AlreadyExists(KeysError):
    """The namespace or the key id is taken."""


class InvalidKey(KeysError):
    """Offered key material is not a usable AES-256 key."""


class ReasonRequired(KeysError):
    """A change to keys was asked for without saying why."""


class NoSuchNamespace(KeysError):
    """There is no namespace of that name."""


class VaultUnavailable(KeysError):
    """A key exists but cannot be unwrapped now: the KEK is away, or is not the one that wrapped it."""


class NotRemembered(KeysError):
    """A key is not in this process's memory. Not an answer for anybody: the request is to be decided afresh."""


class AuditUnavailable(KeysError):
    """The audit record cannot be committed, so what it would tell of must not happen."""


class NoSuchKey(KeysError):
    """The namespace has no key version of that id."""


class TransitionRefused(KeysError):
    """The key version's state does not allow this verb."""


class StillNeeded(KeysError):
    """Temporal may still keep payloads that only this key version can decode."""

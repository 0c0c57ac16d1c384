"""Wrapping data keys: one file per KEK provider, chosen by the URIs of the CODEC_KEK setting.

A further provider is a module with a class that keeps `base.KekProvider`, and a line in `_PROVIDERS`.
"""

from collections.abc import Callable
from functools import cache

from django.conf import settings

from keys.wrapping.base import KekProvider, KekUnavailable
from keys.wrapping.cooldown import Cooldown
from keys.wrapping.local import local_kek
from keys.wrapping.ring import KekRing
from keys.wrapping.uris import kek_uris


def kek() -> KekRing:
    """Return the KEKs of this installation. Raises KekUnavailable."""
    return provider(settings.CODEC_KEK)


@cache
def provider(setting: str) -> KekRing:
    """Return the KEKs that `setting` lists: the first wraps new keys, the others only unwrap. Raises KekUnavailable."""
    return KekRing([_one(uri) for uri in kek_uris(setting)])


@cache
def _one(uri: str) -> KekProvider:
    return Cooldown(provider_of(uri))


def provider_of(uri: str) -> KekProvider:
    """Return a new provider of the one KEK that `uri` names, without a cooldown. Raises KekUnavailable."""
    scheme, _, rest = uri.partition(":")
    opener, extra = _PROVIDERS.get(scheme, (None, ""))
    if opener is None or not rest:
        raise KekUnavailable(f"CODEC_KEK holds a URI that is not one of {', '.join(_PROVIDERS)}.")
    try:
        return opener(rest)
    except ModuleNotFoundError as error:
        raise KekUnavailable(
            f"A {scheme}: KEK needs {error.name}, which is not installed: pip install -r requirements-{extra}.txt "
            f"(the extra {extra})."
        ) from error


def _awskms(rest: str) -> KekProvider:
    from keys.wrapping.awskms import AwsKmsKek

    return AwsKmsKek(rest)


def _pkcs11(rest: str) -> KekProvider:
    from keys.wrapping.pkcs11 import Pkcs11Kek

    return Pkcs11Kek(rest)


# scheme: what opens it, and the extra in pyproject.toml that brings its packages
_PROVIDERS: dict[str, tuple[Callable[[str], KekProvider], str]] = {
    "local": (local_kek, ""),
    "awskms": (_awskms, "aws"),
    "pkcs11": (_pkcs11, "pkcs11"),
}

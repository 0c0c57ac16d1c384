"""Several KEKs as one: the first wraps, each unwraps what it has wrapped. So a rewrap can move between any two."""

from collections.abc import Sequence

from keys.wrapping.base import Binding, KekProvider, KekUnavailable


class KekRing:
    """KekProvider over the providers of CODEC_KEK, in their order."""

    def __init__(self, providers: Sequence[KekProvider]) -> None:
        self._providers = providers

    def primary_id(self) -> str:
        return self._providers[0].primary_id()

    def holds(self, kek_id: str) -> bool:
        return self._holder(kek_id) is not None

    def wrap(self, data_key: bytes, binding: Binding) -> tuple[str, bytes]:
        return self._providers[0].wrap(data_key, binding)

    def unwrap(self, kek_id: str, wrapped: bytes, binding: Binding) -> bytes:
        holder = self._holder(kek_id)
        if holder is None:
            raise KekUnavailable(f"CODEC_KEK holds no KEK {kek_id}.")
        return holder.unwrap(kek_id, wrapped, binding)

    def _holder(self, kek_id: str) -> KekProvider | None:
        """Return the first provider that holds the KEK. One that is away is passed over, if another holds it."""
        away = None
        for provider in self._providers:
            try:
                if provider.holds(kek_id):
                    return provider
            except KekUnavailable as error:
                away = error
        if away:
            raise away
        return None

"""Numbers that people read, and what was counted. In a template, `counts.items` would find a key named "items"."""

from collections.abc import Mapping
from typing import Any

from django import template

register = template.Library()


@register.filter
def thousands(number: int) -> str:
    """Return e.g. "1,240,000"."""
    return f"{number:,}"


@register.filter
def pairs(mapping: object) -> list[tuple[str, Any]]:
    """Return keys and values in their order; nothing for what is no mapping."""
    return list(mapping.items()) if isinstance(mapping, Mapping) else []


@register.filter
def most_first(counts: object) -> list[tuple[str, int]]:
    """Return names with their numbers, the greatest number first."""
    return sorted(pairs(counts), key=lambda pair: (-pair[1], pair[0]))

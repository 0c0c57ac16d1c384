"""CSV that a spreadsheet shows as text: no cell is taken for a formula."""

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain

# https://owasp.org/www-community/attacks/CSV_Injection
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")


def cell(value: object) -> str:
    """Return `value` as text; text that a spreadsheet would calculate or split gets a `'` in front."""
    text = "" if value is None else str(value)
    return f"'{text}" if isinstance(value, str) and text.startswith(_FORMULA) else text


def csv_lines(header: Sequence[str], rows: Iterable[Sequence[object]]) -> Iterator[str]:
    """Yield a CSV file (RFC 4180) line by line."""
    for row in chain([header], rows):
        line = io.StringIO()
        csv.writer(line).writerow([cell(value) for value in row])
        yield line.getvalue()

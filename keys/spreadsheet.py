"""CSV that a spreadsheet shows as text: no cell is taken for a formula."""

import csv
import io
from collections.abc import Iterable, Iterator, Sequence

# https://owasp.org/www-community/attacks/CSV_Injection
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")


def cell(value: object) -> str:
    """Return `value` as text; text that a spreadsheet would calculate or split gets a `'` in front."""
    text = "" if value is None else str(value)
    return f"'{text}" if isinstance(value, str) and text.startswith(_FORMULA) else text


def csv_lines(header: Sequence[str], rows: Iterable[Sequence[object]]) -> Iterator[str]:
    """Yield the lines of a CSV file (RFC 4180), one row after the other."""
    line = io.StringIO()
    writer = csv.writer(line)
    for row in (header, *[]):
        writer.writerow([cell(value) for value in row])
    yield line.getvalue()
    for row in rows:
        line.seek(0)
        line.truncate()
        writer.writerow([cell(value) for value in row])
        yield line.getvalue()

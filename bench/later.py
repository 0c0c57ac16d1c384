"""What a request costs later: its fingerprints go into the index, and it is summed up in a viewing, every minute.

python -m bench.later [--bodies abcd] [--seconds 3] [--postgresql] [--output FILE]

`python -m bench` measures before that happens. Here both are done for all that the server was asked, in another
process; the CPU is that of this work alone, without PostgreSQL's own.
"""

import argparse
import json
import secrets
import tempfile
from pathlib import Path

from bench import bodies
from bench.load import measure
from bench.servers import KEY_ID, check, ours, write

_WORK = """
import json, time
from keys import fingerprint_index, portions
from keys.models import AuditRecord
from keys.review import viewings
def cpu(work):
    before = time.process_time()
    work()
    return time.process_time() - before
print(json.dumps({
    "requests": AuditRecord.objects.filter(action="payload:decoded").count(),
    "index": cpu(fingerprint_index.refresh),
    "viewings": cpu(viewings.refresh),
}))
"""


def later(name: str, key: bytes, *, seconds: int, on_postgresql: bool) -> dict[str, object]:
    """Return the microseconds of CPU per request."""
    body = bodies.make(name, KEY_ID, key)
    with tempfile.TemporaryDirectory() as folder, ours(Path(folder), key, on_postgresql=on_postgresql) as [server]:
        check(server, "decode", body.encoded, body.decoded)
        measure(server.pid, f"{server.url}/decode", body.encoded, server.headers, connections=8, seconds=seconds)
        assert server.manage is not None
        found = json.loads(server.manage("shell", "--verbosity=0", stdin=_WORK))
    costs = {part: round(found[part] / found["requests"] * 1e6, 1) for part in ("index", "viewings")}
    print(
        f"{name}  index {costs['index']:6.1f} us  viewings {costs['viewings']:6.1f} us  of {found['requests']} requests"
    )
    return {"body": name, "requests": found["requests"], **costs}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bodies", default="abcd")
    parser.add_argument("--seconds", type=int, default=3)
    parser.add_argument("--postgresql", action="store_true")
    parser.add_argument("--output", type=Path)
    options = parser.parse_args()
    key = secrets.token_bytes(32)
    rows = [later(name, key, seconds=options.seconds, on_postgresql=options.postgresql) for name in options.bodies]
    write(options.output, options, rows)


if __name__ == "__main__":
    main()

"""How much memory do 100 bodies of 32 MiB take that come at once?

python -m bench.memory [--requests 100] [--output FILE]

Each holds one payload that is not encrypted, near the limit of a body, so that the answer is as large. What exceeds
CODEC_MAX_BYTES_IN_FLIGHT must be refused with 503, and the server must live on.
"""

import argparse
import base64
import http.client
import secrets
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import urlsplit

from bench import bodies
from bench.load import resident_mib
from bench.servers import KEY_ID, Server, check, ours, write

MIB = 2**20
START = b'{"payloads":[{"metadata":{"encoding":"%b"},"data":"' % bodies.JSON_PLAIN.encode()
END = b'"}]}'


def large_body() -> bytes:
    room = (32 * MIB - len(START) - len(END)) // 4 * 3
    return START + base64.b64encode(b"x" * room) + END


def ask(server: Server, body: bytes) -> int:
    """Return the status; 0 when the connection broke."""
    address = urlsplit(server.url)
    connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=120)
    try:
        with suppress(BrokenPipeError, ConnectionResetError):  # the answer may come before all is sent
            connection.request("POST", "/decode", body, server.headers)
        answer = connection.getresponse()
        while answer.read(MIB):
            pass
    except (OSError, http.client.HTTPException):
        return 0
    else:
        return answer.status
    finally:
        connection.close()


@contextmanager
def watched(server: Server) -> Iterator[list[float]]:
    """Note the resident memory, in MiB, every 20 ms."""
    seen, stop = [resident_mib(server.pid)], threading.Event()

    def watch() -> None:
        while not stop.wait(0.02):
            seen.append(resident_mib(server.pid))

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield seen
    finally:
        stop.set()
        thread.join()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=100)
    parser.add_argument("--output", type=Path)
    options = parser.parse_args()
    key = secrets.token_bytes(32)
    small, large = bodies.make("a", KEY_ID, key), large_body()
    with tempfile.TemporaryDirectory() as folder, ours(Path(folder), key) as [server]:
        check(server, "decode", small.encoded, small.decoded)
        with watched(server) as seen, ThreadPoolExecutor(options.requests) as pool:
            began = time.perf_counter()
            statuses = Counter(pool.map(lambda _: ask(server, large), range(options.requests)))
            seconds = time.perf_counter() - began
        check(server, "decode", small.encoded, small.decoded)
    row = {
        "MiB before": round(seen[0]),
        "MiB at most": round(max(seen)),
        "seconds": round(seconds, 1),
        "statuses (0: broken connection)": dict(statuses),
    }
    print(row)
    write(options.output, options, [row])


if __name__ == "__main__":
    main()

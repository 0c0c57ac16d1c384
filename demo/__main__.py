"""`make demo`: an encrypted workflow in the Temporal Web UI, unreadable until you sign in. Ctrl-C ends all of it."""

import base64
import os
import secrets
import shutil
import signal
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from demo.background import background_loop
from demo.codec_server import ROOT, Installation, serving, set_up
from demo.dev_server import dev_server
from demo.encryption import encrypting_converter
from demo.processes import StartError, free_port, port_is_free
from demo.ui_proxy import CodecSettings, ui_proxy
from demo.worker import make_payment, worker

DIRECTORY = Path(os.environ.get("CODEC_VAR") or ROOT / "var").absolute() / "demo"
NAMESPACE = "default"
KEY_ID = "demo-key"
WORKFLOW_ID = "payment-1042"

INVITATION = """
  Open  {workflow_url}

  1. Input and result are unreadable: Temporal holds only ciphertext, and you have not signed in.
  2. The link in the red banner leads to this codec server; sign in there as  admin  with  {password}
  3. You come back to the workflow and it reads: input, result, memo, query, and the message of the failed activity.

  Ctrl-C ends everything.
"""


@dataclass(frozen=True, slots=True)
class Scene:
    """What a newcomer needs to enter the running demo."""

    workflow_url: str
    password: str


def main() -> int:
    """Run the demo until Ctrl-C."""
    try:
        with _ended_by_signal(), _scene() as scene:
            print(INVITATION.format(workflow_url=scene.workflow_url, password=scene.password), flush=True)
            signal.pause()
    except KeyboardInterrupt:
        print("\nThe demo has ended.")
    except StartError as failure:
        print(f"The demo could not start: {failure}", file=sys.stderr)
        return 1
    return 0


@contextmanager
def _scene() -> Iterator[Scene]:
    """Set everything up, in the order in which one part needs the other; taken down in reverse."""
    _empty_directory()
    ui_port = _port(8080)
    ui_url = f"http://localhost:{ui_port}"
    workflow_url = f"{ui_url}/namespaces/{NAMESPACE}/workflows/{WORKFLOW_ID}"
    installation = Installation(DIRECTORY, _port(int(os.environ.get("PORT") or 8888)), ui_origins=[ui_url])
    key = secrets.token_bytes(32)
    with ExitStack() as stack:
        _say("Setting up the codec server")
        password = set_up(installation)
        installation.manage("import_key", NAMESPACE, KEY_ID, "--primary", stdin=base64.b64encode(key).decode())
        stack.enter_context(serving(installation))
        _say("Starting Temporal with its Web UI")
        temporal = stack.enter_context(dev_server(DIRECTORY / "temporal.log"))
        background = stack.enter_context(background_loop())
        codec = _codec_settings(installation.url, workflow_url)
        stack.enter_context(ui_proxy(background, upstream_url=temporal.ui_url, port=ui_port, codec=codec))
        _say("Running a workflow whose payloads are encrypted")
        client = stack.enter_context(worker(background, temporal.address, encrypting_converter(KEY_ID, key)))
        make_payment(background, client, WORKFLOW_ID)
        yield Scene(workflow_url, password)


def _codec_settings(codec_url: str, workflow_url: str) -> CodecSettings:
    return CodecSettings(
        endpoint=codec_url,
        default_error_message="This workflow is encrypted. Sign in to read it:",
        default_error_link=f"{codec_url}/login/?next={workflow_url}",
    )


def _empty_directory() -> None:
    # A new installation every time: its administrator's password is shown only once.
    shutil.rmtree(DIRECTORY, ignore_errors=True)
    DIRECTORY.mkdir(parents=True)


def _port(wanted: int) -> int:
    """Return this port, or a free one where another server listens there: `make run` may be running beside the demo."""
    return wanted if port_is_free(wanted) else free_port()


def _say(what: str) -> None:
    print(f"{what} …", flush=True)


@contextmanager
def _ended_by_signal() -> Iterator[None]:
    """Let Ctrl-C, a closed terminal and `kill` end the block the same way, and let it finish when they come twice."""
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

    def end(*_: object) -> None:
        for each in numbers:
            signal.signal(each, signal.SIG_IGN)
        raise KeyboardInterrupt

    for each in numbers:
        signal.signal(each, end)
    yield


if __name__ == "__main__":
    sys.exit(main())

import asyncio
import atexit
import gc
import signal
import sys
from contextlib import suppress
from typing import Any

import uvicorn
from django.conf import settings
from django.core.management.base import CommandError

from codec import alerts, refusals, server_record
from keys import append_only, checkpoints, epoch, fingerprint_index, schedule
from keys.audit_stream import stream
from keys.command import VaultCommand
from keys.group_commit import codec_requests
from keys.selftest import check_kek


class Command(VaultCommand):
    help = "Serve. One process, bound to this machine for an http CODEC_PUBLIC_URL."

    def run(self, **options: Any) -> None:
        check_kek()
        if missing := epoch.missing_triggers() + append_only.missing_triggers():
            raise CommandError(f"The database lacks the triggers {', '.join(missing)}. Run `manage.py migrate`.")
        server_record.started()
        atexit.register(stream.close)
        atexit.register(server_record.stopped)
        signal.signal(signal.SIGTERM, _exit_in_order)
        self._say_where()
        self._serve(self._config())

    def _config(self) -> uvicorn.Config:
        return uvicorn.Config(
            "codecsite.asgi:application",
            host=settings.CODEC_BIND,
            port=settings.PORT,
            http="codecsite.protocol:CodecProtocol",
            loop="uvloop",
            lifespan="off",
            ws="none",
            proxy_headers=False,  # codec.request_facts decides which forwarded addresses count
            server_header=False,
            access_log=False,
            log_config=None,
            limit_concurrency=settings.CODEC_MAX_CONNECTIONS,
            ssl_certfile=settings.CODEC_TLS_CERTIFICATE or None,
            ssl_keyfile=settings.CODEC_TLS_PRIVATE_KEY or None,
        )

    def _serve(self, config: uvicorn.Config) -> None:
        with suppress(KeyboardInterrupt), asyncio.Runner(loop_factory=config.get_loop_factory()) as runner:
            codec_requests.start(runner.get_loop())
            self._start_chores()
            _prepare_python(config)
            runner.run(uvicorn.Server(config).serve())

    def _start_chores(self) -> None:
        stream.open()
        atexit.register(refusals.flush)
        schedule.every(60, refusals.flush_past_minutes, name="counting refusals")
        schedule.every(60, alerts.watch, name="summing up viewings, raising alerts")
        schedule.every(settings.CODEC_CHECKPOINT_MINUTES * 60, checkpoints.publish, name="audit checkpoint")
        schedule.every(60, fingerprint_index.refresh, name="index of fingerprints")

    def _say_where(self) -> None:
        url = settings.CODEC_PUBLIC_URL
        self.stdout.write(
            f"\n  Sign in         {url}/login/\n"
            f"  Administration  {url}/admin/\n\n"
            f"  In the Temporal Web UI (at {', '.join(settings.CODEC_UI_ORIGINS)}), click the glasses icon,\n"
            '  choose "Use my browser setting and ignore Cluster-level setting" and enter\n'
            f"    Codec Server browser endpoint        {url}\n"
            f"    Include cross-origin credentials     on\n"
        )
        self.stdout.flush()


def _prepare_python(config: uvicorn.Config) -> None:
    """Let nothing in this process hold up the event loop for long (ADR 11).

    The garbage collector passes over all that was loaded, which took it some 40 milliseconds each time; and a thread
    that computes gives Python's lock to the loop every half millisecond, and not every five at each step of a request.
    """
    config.load()
    gc.collect()
    gc.freeze()
    sys.setswitchinterval(0.0005)


def _exit_in_order(*_: Any) -> None:
    """Let what is registered with atexit run: uvicorn raises the signal anew after it has shut down."""
    sys.exit(0)

"""A small reverse proxy that gives a dev server's Web UI the codec settings of the UI's container image.

The image `temporalio/ui` reads five variables and publishes them to its pages at `/api/v1/settings`;
`temporal server start-dev` knows only the endpoint. This proxy passes everything through and puts the
missing four into that one answer (temporalio/ui server/server/api/handler.go).

The dev server has no sign-in. Where tokens are to be passed, the answer says that there is one: the pages forget the
tokens that they hold otherwise.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from aiohttp import ClientSession, ClientTimeout, web
from multidict import CIMultiDict, CIMultiDictProxy
from yarl import URL

from demo.background import BackgroundLoop

SETTINGS_PATH = "/api/v1/settings"
# They describe one connection, not the message: RFC 9110 section 7.6.1.
HOP_BY_HOP = ("Connection", "Keep-Alive", "Proxy-Connection", "TE", "Trailer", "Transfer-Encoding", "Upgrade")
UPSTREAM_URL = web.AppKey("upstream_url", str)
CODEC_SETTINGS = web.AppKey("codec_settings", dict[str, Any])
UPSTREAM = web.AppKey("upstream", ClientSession)


@dataclass(frozen=True, slots=True)
class CodecSettings:
    """What the UI image reads from its environment. Each field is named after its variable, TEMPORAL_CODEC_…"""

    endpoint: str
    default_error_message: str
    default_error_link: str
    include_credentials: bool = True
    pass_access_token: bool = False

    def as_published(self) -> dict[str, Any]:
        """Return the object that stands under `Codec` in the UI's settings."""
        return {
            "Endpoint": self.endpoint,
            "PassAccessToken": self.pass_access_token,
            "IncludeCredentials": self.include_credentials,
            "DefaultErrorMessage": self.default_error_message,
            "DefaultErrorLink": self.default_error_link,
        }


@contextmanager
def ui_proxy(background: BackgroundLoop, *, upstream_url: str, port: int, codec: CodecSettings) -> Iterator[str]:
    """Serve the Web UI of `upstream_url` with these codec settings until the block ends. Gives the proxy's origin."""
    # An open page keeps its connections; they need not be waited for at the end.
    runner = web.AppRunner(_application(upstream_url, codec), access_log=None, shutdown_timeout=0.5)
    background.run(_listen(runner, port))
    try:
        yield f"http://localhost:{port}"
    finally:
        background.run(runner.cleanup())


async def _listen(runner: web.AppRunner, port: int) -> None:
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()


def _application(upstream_url: str, codec: CodecSettings) -> web.Application:
    application = web.Application(client_max_size=64 * 1024 * 1024)
    application[UPSTREAM_URL] = upstream_url
    application[CODEC_SETTINGS] = codec.as_published()
    application.cleanup_ctx.append(_upstream_session)
    application.router.add_get(SETTINGS_PATH, _settings)
    application.router.add_route("*", "/{path:.*}", _pass_through)
    return application


async def _upstream_session(application: web.Application) -> Any:
    # No time limit: the UI polls the history of a running workflow with requests that stay open.
    async with ClientSession(auto_decompress=False, timeout=ClientTimeout(total=None)) as session:
        application[UPSTREAM] = session
        yield


async def _settings(request: web.Request) -> web.Response:
    url = request.app[UPSTREAM_URL] + SETTINGS_PATH
    async with request.app[UPSTREAM].get(url, headers={"Accept-Encoding": "identity"}) as answer:
        settings = json.loads(await answer.read())
    settings["Codec"] = request.app[CODEC_SETTINGS]
    settings["Auth"]["Enabled"] = settings["Codec"]["PassAccessToken"]
    return web.json_response(settings)


async def _pass_through(request: web.Request) -> web.StreamResponse:
    async with request.app[UPSTREAM].request(
        request.method,
        # As it came: a workflow id may hold escaped characters.
        URL(request.app[UPSTREAM_URL] + request.raw_path, encoded=True),
        headers=_end_to_end(request.headers),
        data=await request.read(),
        allow_redirects=False,
    ) as answer:
        response = web.StreamResponse(status=answer.status, headers=_end_to_end(answer.headers))
        await response.prepare(request)
        async for chunk in answer.content.iter_any():
            await response.write(chunk)
        await response.write_eof()
        return response


def _end_to_end(headers: CIMultiDictProxy[str]) -> CIMultiDict[str]:
    kept = CIMultiDict(headers)
    for name in HOP_BY_HOP:
        kept.popall(name, None)
    return kept

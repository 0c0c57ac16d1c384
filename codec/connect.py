"""What to enter where, so that Temporal's Web UI, its CLI and the SDKs call this server: exact values to copy."""

from dataclasses import dataclass

from django.conf import settings
from django.template.loader import render_to_string

TEMPORAL_CLOUD = "https://cloud.temporal.io"
# The Web UI's image puts the message into YAML without quotes, so it has no colon and no #: temporalio/ui
# server/config/docker.yaml. The link's text is its address, so it is as short as an address can be.
ERROR_MESSAGE = "Payloads here are encrypted. Sign in to the codec server, then refresh this page."

_SNIPPETS = ("web_ui", "web_ui_token", "terraform", "cli", "cli_env", "go", "java")


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """What this installation lets a Web UI do, and what its operator would have to change."""

    endpoint: str
    error_link: str
    error_message: str
    own_origins: list[str]
    cloud_allowed: bool
    cross_site_cookies: bool
    takes_tokens: bool
    https: bool
    on_this_machine: bool


def way() -> Way:
    """Return what the settings say."""
    return Way(
        endpoint=settings.CODEC_PUBLIC_URL,
        error_link=f"{settings.CODEC_PUBLIC_URL}/",
        error_message=ERROR_MESSAGE,
        own_origins=[origin for origin in settings.CODEC_UI_ORIGINS if origin != TEMPORAL_CLOUD],
        cloud_allowed=TEMPORAL_CLOUD in settings.CODEC_UI_ORIGINS,
        cross_site_cookies=settings.SESSION_COOKIE_SAMESITE == "None",
        takes_tokens=bool(settings.CODEC_TOKEN_ISSUERS),
        https=settings.HTTPS,
        on_this_machine=settings.LOOPBACK,
    )


def snippets(namespace: str) -> dict[str, str]:
    """Return each text to copy, by name, for `namespace`. Names have no character that a shell or YAML minds."""
    context = {"namespace": namespace or "YOUR_NAMESPACE", "way": way()}
    return {name: render_to_string(f"codec/connect/{name}.txt", context).strip() for name in _SNIPPETS}

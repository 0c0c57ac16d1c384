"""Every setting of the server. Values from outside come through env.py; docs/configuration.md explains each."""

import os
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import dj_database_url
import django_stubs_ext
from django.core.exceptions import ImproperlyConfigured

from codecsite import __version__, logs, mail
from codecsite.env import (
    check_origin,
    envbool,
    envchoice,
    envint,
    envkey,
    envlist,
    envnames,
    envport,
    envsecret,
    envstr,
    is_loopback_url,
    refuse_unknown,
)
from codecsite.localsecret import read_or_create

django_stubs_ext.monkeypatch()  # lets ModelAdmin[User] and the like run as well as be checked

os.umask(0o077)  # whatever this server writes is its owner's alone

VERSION = __version__
BASE_DIR = Path(__file__).resolve().parent.parent
MIB = 1024 * 1024

# Where this server is -------------------------------------------------------------------------------------------------

CODEC_VAR = Path(envstr("CODEC_VAR", str(BASE_DIR / "var"))).absolute()
PORT = envport("PORT", 8888)
CODEC_PUBLIC_URL = check_origin("CODEC_PUBLIC_URL", envstr("CODEC_PUBLIC_URL", f"http://localhost:{PORT}").rstrip("/"))
HTTPS = CODEC_PUBLIC_URL.startswith("https://")
LOOPBACK = is_loopback_url(CODEC_PUBLIC_URL)
CODEC_TLS_CERTIFICATE = envstr("CODEC_TLS_CERTIFICATE")
CODEC_TLS_PRIVATE_KEY = envstr("CODEC_TLS_PRIVATE_KEY")
CODEC_TRUSTED_PROXIES = envint("CODEC_TRUSTED_PROXIES", 0)
# Others reach this port only where TLS ends here, or where the operator says so: a proxy's headers are believed.
_bind = "0.0.0.0" if CODEC_TLS_CERTIFICATE else "127.0.0.1"  # noqa: S104
CODEC_BIND = envstr("CODEC_BIND", _bind) if HTTPS else "127.0.0.1"

ALLOWED_HOSTS = envlist("ALLOWED_HOSTS", (urlsplit(CODEC_PUBLIC_URL).hostname or "",))
if LOOPBACK and not HTTPS:
    ALLOWED_HOSTS = [*ALLOWED_HOSTS, "localhost", "127.0.0.1", "[::1]"]

# Secrets and storage --------------------------------------------------------------------------------------------------

DEBUG = False
SECRET_KEY = envsecret("DJANGO_SECRET_KEY") or read_or_create(CODEC_VAR / "django_secret_key")
CODEC_AUDIT_KEY = envkey("CODEC_AUDIT_KEY") or read_or_create(CODEC_VAR / "audit_key")
CODEC_AUDIT_SIGNING_KEY = envkey("CODEC_AUDIT_SIGNING_KEY") or read_or_create(CODEC_VAR / "audit_signing_key")
CODEC_AUDIT_SECONDS = envint("CODEC_AUDIT_SECONDS", 4, minimum=1)
CODEC_CHECKPOINT_FILE = envstr("CODEC_CHECKPOINT_FILE", str(CODEC_VAR / "audit_checkpoints.jsonl"))
CODEC_CHECKPOINT_MINUTES = envint("CODEC_CHECKPOINT_MINUTES", 10, minimum=1)
CODEC_AUDIT_RETENTION_DAYS = envint("CODEC_AUDIT_RETENTION_DAYS", 400, minimum=1)
CODEC_KEK = envstr("CODEC_KEK", f"local:{CODEC_VAR / 'kek'}")
CODEC_KEK_RING = envsecret("CODEC_KEK_RING")
CODEC_PKCS11_PIN = envsecret("CODEC_PKCS11_PIN")

SQLITE_OPTIONS = {
    "transaction_mode": "IMMEDIATE",
    "timeout": 5,
    "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA foreign_keys=ON;",
}
_database_url = envsecret("DATABASE_URL") or f"sqlite:///{CODEC_VAR / 'db.sqlite3'}"
try:
    DATABASES = {"default": dj_database_url.parse(_database_url, conn_max_age=None, conn_health_checks=True)}
except ValueError:  # which quotes a part of the URL
    raise ImproperlyConfigured("DATABASE_URL is not a database URL that Django understands.") from None
if DATABASES["default"]["ENGINE"] == "django.db.backends.sqlite3":
    DATABASES["default"]["OPTIONS"] = SQLITE_OPTIONS
elif DATABASES["default"]["ENGINE"] != "django.db.backends.postgresql":
    raise ImproperlyConfigured("DATABASE_URL must name a PostgreSQL or SQLite database.")
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# Application ----------------------------------------------------------------------------------------------------------

INSTALLED_APPS = [
    "axes",  # before codec, which records what axes makes of a failed sign-in
    "codec.apps.CodecConfig",
    "keys.apps.KeysConfig",
    "codec.apps.CodecAdminConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.messages",
    "django.contrib.sessions",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    "corsheaders",
]
MIDDLEWARE = [
    "codecsite.request_id.request_id",
    "codec.middleware.observe_browsers",
    "corsheaders.middleware.CorsMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "codec.middleware.refuse_bad_transport",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "codecsite.headers.browser_headers",
    "codecsite.headers.isolate_resources",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "codec.middleware.audit_actor",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "axes.middleware.AxesMiddleware",
]
ROOT_URLCONF = "codecsite.urls"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]
APPEND_SLASH = False  # a redirect turns a client's POST into a GET
STATIC_URL = "/static/"
WHITENOISE_USE_FINDERS = True  # served from the packages themselves: no collectstatic
WHITENOISE_AUTOREFRESH = False
USE_TZ = True
TIME_ZONE = "UTC"
LANGUAGE_CODE = "en"
FORMAT_MODULE_PATH = ["codecsite.formats"]
LOGGING = logs.config(level=envchoice("CODEC_LOG_LEVEL", "INFO", logs.LEVELS))

# People ---------------------------------------------------------------------------------------------------------------

AUTH_USER_MODEL = "codec.User"
CODEC_TOKEN_MAX_DAYS = envint("CODEC_TOKEN_MAX_DAYS", 90, minimum=1)
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in (
        "UserAttributeSimilarityValidator",
        "MinimumLengthValidator",
        "CommonPasswordValidator",
        "NumericPasswordValidator",
    )
]
AUTH_PASSWORD_VALIDATORS[1]["OPTIONS"] = {"min_length": 12}  # type: ignore[assignment]
LOGIN_URL = "login"
LOGIN_REDIRECT_URL = "home"
LOGOUT_REDIRECT_URL = "login"

# Single sign-on (docs/single-sign-on.md): the names OIDC_… are those of mozilla-django-oidc -------------------------

CODEC_OIDC_ISSUER = envstr("CODEC_OIDC_ISSUER")
CODEC_OIDC_NAME = envstr("CODEC_OIDC_NAME", "single sign-on")
CODEC_OIDC_GROUPS_CLAIM = envstr("CODEC_OIDC_GROUPS_CLAIM", "groups")
CODEC_OIDC_CREATE_USERS = envbool("CODEC_OIDC_CREATE_USERS")
OIDC_RP_CLIENT_ID = envstr("CODEC_OIDC_CLIENT_ID")
OIDC_RP_CLIENT_SECRET = envsecret("CODEC_OIDC_CLIENT_SECRET") or ""
OIDC_RP_SCOPES = envstr("CODEC_OIDC_SCOPES", "openid email profile")
OIDC_RP_SIGN_ALGO = envchoice(
    "CODEC_OIDC_ALGORITHM",
    "RS256",
    ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"),
)
OIDC_AUTHENTICATION_CALLBACK_URL = "sso_callback"
OIDC_USE_PKCE = True
OIDC_TIMEOUT = 5
OIDC_MAX_STATES = 20

# Local passwords ------------------------------------------------------------------------------------------------------

CODEC_LOCAL_PASSWORDS = envbool("CODEC_LOCAL_PASSWORDS", True)
AUTHENTICATION_BACKENDS = [
    "axes.backends.AxesStandaloneBackend",  # lets nobody in; it keeps out who has guessed too often
    *(["codec.oidc.backend.OidcBackend"] if CODEC_OIDC_ISSUER else []),
    *(["codec.password_backend.PasswordBackend"] if CODEC_LOCAL_PASSWORDS else []),
]
AXES_FAILURE_LIMIT = 5
AXES_COOLOFF_TIME = timedelta(minutes=15)
AXES_LOCKOUT_PARAMETERS = [["username", "ip_address"]]
AXES_RESET_ON_SUCCESS = True
AXES_RESET_COOL_OFF_ON_FAILURE_DURING_LOCKOUT = False
AXES_CLIENT_IP_CALLABLE = "codec.local_passwords.counted_address"
AXES_USERNAME_CALLABLE = "codec.local_passwords.counted_name"
AXES_WHITELIST_CALLABLE = "codec.local_passwords.is_without_password"
AXES_LOCKOUT_CALLABLE = "codec.local_passwords.locked_answer"
AXES_DISABLE_ACCESS_LOG = True  # the audit says it
AXES_ENABLE_ADMIN = AXES_VERBOSE = False

# Notices --------------------------------------------------------------------------------------------------------------

_mail = mail.read(envsecret("CODEC_EMAIL_URL"))
EMAIL_BACKEND, EMAIL_HOST, EMAIL_PORT = _mail.backend, _mail.host, _mail.port
EMAIL_HOST_USER, EMAIL_HOST_PASSWORD = _mail.user, _mail.password
EMAIL_USE_TLS, EMAIL_USE_SSL = _mail.starttls, _mail.tls
EMAIL_TIMEOUT = 10
EMAIL_SUBJECT_PREFIX = ""
DEFAULT_FROM_EMAIL = envstr("CODEC_EMAIL_FROM", f"codec-server@{urlsplit(CODEC_PUBLIC_URL).hostname}")
CODEC_WEBHOOK_URL = envsecret("CODEC_WEBHOOK_URL") or ""
CODEC_ALERT_PAYLOADS = envint("CODEC_ALERT_PAYLOADS", 5000, minimum=1)
CODEC_ALERT_DENIED = envint("CODEC_ALERT_DENIED", 100, minimum=1)

# Access tokens of others (docs/access-tokens.md); what is left blank comes from the preset ---------------------------

CODEC_TOKEN_ISSUERS: list[dict[str, Any]] = [
    {
        "name": name.lower(),
        "preset": envchoice(f"CODEC_ISSUER_{name}_PRESET", "none", ("none", "temporal-cloud", "self-hosted")),
        "url": envstr(f"CODEC_ISSUER_{name}_URL"),
        "jwks_url": envstr(f"CODEC_ISSUER_{name}_JWKS_URL"),
        "audiences": envlist(f"CODEC_ISSUER_{name}_AUDIENCES"),
        "algorithms": envlist(f"CODEC_ISSUER_{name}_ALGORITHMS"),
        "untyped": envbool(f"CODEC_ISSUER_{name}_UNTYPED"),
        "header": envchoice(f"CODEC_ISSUER_{name}_HEADER", "", ("", "Authorization", "Authorization-Extras")),
        "max_lifetime_seconds": envint(f"CODEC_ISSUER_{name}_MAX_LIFETIME_SECONDS", 24 * 3600, minimum=60),
        "email_claim": envstr(f"CODEC_ISSUER_{name}_EMAIL_CLAIM"),
        "email_trusted": envbool(f"CODEC_ISSUER_{name}_EMAIL_TRUSTED"),
        "permissions_claim": envstr(f"CODEC_ISSUER_{name}_PERMISSIONS_CLAIM"),
    }
    for name in envnames("CODEC_TOKEN_ISSUERS")
]
refuse_unknown(
    "CODEC_ISSUER_",
    {f"CODEC_ISSUER_{i['name']}_{option}".upper() for i in CODEC_TOKEN_ISSUERS for option in i if option != "name"},
)

# Cookies --------------------------------------------------------------------------------------------------------------

SESSION_ENGINE = "codec.session_store"
SESSION_COOKIE_NAME = "__Host-codecsid"
SESSION_COOKIE_AGE = envint("CODEC_SESSION_SECONDS", 8 * 3600, minimum=60)
CODEC_SESSION_IDLE_SECONDS = envint("CODEC_SESSION_IDLE_SECONDS", 2 * 3600, minimum=300)
SESSION_COOKIE_SECURE = SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "None" if envbool("CODEC_CROSS_SITE_COOKIES") else "Lax"
CSRF_COOKIE_NAME = "__Host-csrftoken"
CSRF_COOKIE_SECURE = CSRF_COOKIE_HTTPONLY = True
CSRF_COOKIE_SAMESITE = "Lax"
CSRF_FAILURE_VIEW = "codec.error_pages.csrf_failed"

# Transport ------------------------------------------------------------------------------------------------------------

CODEC_PATH = r"^/(?:.*/)?(?:decode|encode|download)/*$"
SECURE_SSL_REDIRECT = HTTPS
SECURE_REDIRECT_EXEMPT = [CODEC_PATH.replace("^/", "^"), r"^(?:healthz|readyz)$"]
SECURE_HSTS_SECONDS = 31536000 if HTTPS else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = SECURE_HSTS_PRELOAD = HTTPS
if CODEC_TRUSTED_PROXIES:
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
X_FRAME_OPTIONS = "DENY"

# CORS -----------------------------------------------------------------------------------------------------------------

_local_origins = ("http://localhost:8233", "http://localhost:8080") if LOOPBACK and not HTTPS else ()
CODEC_UI_ORIGINS = [check_origin("CODEC_UI_ORIGINS", origin) for origin in envlist("CODEC_UI_ORIGINS", _local_origins)]
CORS_ALLOWED_ORIGINS = CODEC_UI_ORIGINS
CORS_ALLOW_CREDENTIALS = True
CORS_URLS_REGEX = CODEC_PATH
CORS_ALLOW_METHODS = ["POST", "OPTIONS"]
CORS_ALLOW_HEADERS = ["content-type", "x-namespace", "authorization", "authorization-extras"]
CORS_PREFLIGHT_MAX_AGE = 600

# Limits ---------------------------------------------------------------------------------------------------------------

CODEC_MAX_BODY_BYTES = envint("CODEC_MAX_BODY_BYTES", 32 * MIB, minimum=1024)
CODEC_MAX_ANONYMOUS_BODY_BYTES = envint("CODEC_MAX_ANONYMOUS_BODY_BYTES", 64 * 1024, minimum=1024)
CODEC_MAX_BYTES_IN_FLIGHT = envint("CODEC_MAX_BYTES_IN_FLIGHT", 256 * MIB, minimum=1024)
CODEC_MAX_HEADER_BYTES = envint("CODEC_MAX_HEADER_BYTES", 32 * 1024, minimum=1024)
CODEC_BODY_SECONDS = envint("CODEC_BODY_SECONDS", 30, minimum=1)
CODEC_MAX_CONNECTIONS = envint("CODEC_MAX_CONNECTIONS", 1000, minimum=1)
CODEC_THREADS = envint("CODEC_THREADS", 8, minimum=1)
CODEC_MAX_PAYLOADS = envint("CODEC_MAX_PAYLOADS", 2000, minimum=1)
CODEC_MAX_METADATA_ENTRIES = envint("CODEC_MAX_METADATA_ENTRIES", 64, minimum=1)
CODEC_MAX_DECOMPRESSED_PAYLOAD_BYTES = envint("CODEC_MAX_DECOMPRESSED_PAYLOAD_BYTES", 64 * MIB, minimum=1024)
CODEC_MAX_DECOMPRESSED_REQUEST_BYTES = envint("CODEC_MAX_DECOMPRESSED_REQUEST_BYTES", 128 * MIB, minimum=1024)
CODEC_MAX_NESTED_CODECS = envint("CODEC_MAX_NESTED_CODECS", 4, minimum=1)
CODEC_REQUESTS_PER_MINUTE = envint("CODEC_REQUESTS_PER_MINUTE", 30000, minimum=1)
CODEC_KEY_CACHE_SECONDS = envint("CODEC_KEY_CACHE_SECONDS", 300, minimum=1)
CODEC_KEY_CACHE_SIZE = envint("CODEC_KEY_CACHE_SIZE", 1000, minimum=1)
DATA_UPLOAD_MAX_MEMORY_SIZE = FILE_UPLOAD_MAX_MEMORY_SIZE = CODEC_MAX_BODY_BYTES
FILE_UPLOAD_MAX_MEMORY_SIZE = CODEC_MAX_BODY_BYTES  # a larger file would be dropped without a word
FILE_UPLOAD_HANDLERS = ["django.core.files.uploadhandler.MemoryFileUploadHandler"]  # no body in a temporary file

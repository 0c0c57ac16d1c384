"""What moves the policy epoch on this side: sessions that end, people who change, groups and grants.

Signing in, a session's data, `last_login`, and when a session or token was last used do not move it.
"""

from keys.epoch import Trigger, on_every_change

TOKEN_RIGHTS = ("user_id", "digest", "every_namespace", "decode", "encode", "expires_at", "revoked_at")

TRIGGERS = [
    Trigger("codec_usersession", "DELETE", only_if="OLD.user_id IS NOT NULL"),
    Trigger("codec_usersession", "UPDATE", only_if="NEW.expire_date < OLD.expire_date OR NEW.user_id <> OLD.user_id"),
    Trigger("codec_user", "UPDATE", ("username", "password", "is_active", "is_service")),
    Trigger("codec_user", "DELETE"),
    *on_every_change("codec_user_groups"),
    *on_every_change("codec_identity"),
    Trigger("codec_apitoken", "UPDATE", TOKEN_RIGHTS),
    Trigger("codec_apitoken", "DELETE"),
    *on_every_change("codec_apitoken_namespaces"),
    *on_every_change("codec_grant"),
]

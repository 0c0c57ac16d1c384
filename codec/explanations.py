"""What the Connect page says about a diagnosis: what happened, why, and what to do, in three sentences for people."""

from dataclasses import dataclass

from codec.diagnosis import (
    Cause,
    Diagnosis,
    Server,
    is_other_name_of_this_machine,
    near_origin,
    refused_headers,
)
from codec.observations import Facts, Seen


@dataclass(frozen=True, slots=True)
class Explanation:
    """`title` names the cause, `why` says how it is known, `remedy` what to do, and by whom."""

    title: str
    why: str
    remedy: str


_WITHOUT_REQUEST = {
    Cause.NOTHING_ARRIVED: Explanation(
        "Nothing has arrived from this browser",
        "In the last 15 minutes no page in it has asked this server to decode anything: "
        "either none tried, or what it sent went elsewhere or was stopped on the way.",
        "Open a workflow in Temporal's Web UI in this browser. If this does not change then, look below.",
    ),
    Cause.ANOTHER_ACCOUNT: Explanation(
        "Requests came, but not as you",
        "A browser like this one, at the same address, reached this server with another account.",
        "If that was you, the Web UI is open in another window or profile, or passes the access token of another "
        "account. Sign in there with the account that has the grant.",
    ),
}

_TEXTS = {
    Cause.WRONG_PATH: Explanation(
        "The endpoint is wrong",
        "A page of {origin} called {path} here, and no codec endpoint ends like that.",
        "Enter {public_url} as the endpoint: without /decode, and without ? or #.",
    ),
    Cause.PLAIN_HTTP: Explanation(
        "The endpoint is http, and this server takes https only",
        "A page of {origin} called by plain http.",
        "Enter {public_url} as the endpoint.",
    ),
    Cause.ORIGIN_NOT_ALLOWED: Explanation(
        "{origin} may not call this server",
        "The browser asked before it let the page send anything, and was told no: "
        "this origin is not one of CODEC_UI_ORIGINS.",
        "Whoever runs this server adds {origin} to CODEC_UI_ORIGINS and restarts it.",
    ),
    Cause.HEADER_NOT_ALLOWED: Explanation(
        "The page wants to send a header that is not accepted here",
        "A page of {origin} asked to send {headers}. Temporal's Web UI sends no such header by itself.",
        "Look for a browser extension that adds it, and switch it off for Temporal's page.",
    ),
    Cause.UNDER_WAY: Explanation(
        "A request is on its way",
        "The browser has just asked whether a page of {origin} may call, and was told yes.",
        "Wait a moment.",
    ),
    Cause.NOTHING_FOLLOWED: Explanation(
        "The browser was allowed to send, and sent nothing",
        "It asked whether a page of {origin} may call and was told yes, but the request itself has not come.",
        "Look into the console of Temporal's page: an extension, a policy of the browser or a proxy has stopped it.",
    ),
    Cause.NO_NAMESPACE: Explanation(
        "The page named no namespace",
        "The request came without a usable X-Namespace. The Web UI does that on pages that belong to no namespace, "
        "such as those of Nexus endpoints.",
        "Open a page of a namespace, such as a workflow. If it came from there, something on the way drops the header.",
    ),
    Cause.COOKIES_BLOCKED: Explanation(
        "This browser keeps your session cookie back",
        "The request came without a cookie, and with Sec-Fetch-Storage-Access: {storage_access}. "
        "The browser blocks cookies of other sites.",
        "Allow third-party cookies for {origin} in the browser's settings, or open the Web UI in a browser "
        "that sends them.",
    ),
    Cause.COOKIE_STAYS_ON_ITS_SITE: Explanation(
        "Your session cookie stays on this server's own site",
        "{origin} is on another site than {public_url}, and this server lets its cookie go to its own site only.",
        "Whoever runs this server sets CODEC_CROSS_SITE_COOKIES=1, or serves the Web UI on the same site.",
    ),
    Cause.CREDENTIALS_OFF: Explanation(
        "The page sent neither cookie nor token",
        "You are signed in here, but the request of {origin} came without credentials: that is the Web UI's setting.",
        "Switch “Include cross-origin credentials” on, where the endpoint is entered; "
        "in the environment it is TEMPORAL_CODEC_INCLUDE_CREDENTIALS=true.",
    ),
    Cause.NOT_SIGNED_IN_THEN: Explanation(
        "You were not signed in then",
        "The request came without a cookie, before you signed in here.",
        "You are signed in now: refresh Temporal's page.",
    ),
    Cause.SESSION_ENDED: Explanation(
        "The session had ended",
        "The request came with the cookie of a session that is over: it expired, or somebody signed out.",
        "You are signed in now: refresh Temporal's page. If it says the same again, the Web UI is in another window "
        "or profile of this browser; sign in there.",
    ),
    Cause.TOKENS_NOT_ACCEPTED: Explanation(
        "The page sent an access token, and this server takes none",
        "The request came with the header {credential}. With a token in it, the cookie is not looked at.",
        "Switch “Pass the user access token” off in the Web UI's codec settings, and “Include cross-origin "
        "credentials” on.",
    ),
    Cause.TOKEN_REFUSED: Explanation(
        "The token was refused",
        "The request came with the header {credential}, and what it carries {token_fault}.",
        "{token_remedy}",
    ),
    Cause.NO_GRANT: Explanation(
        "You have no grant to {verb} in {namespace}",
        "The request arrived and the server knows that it was you. No grant in force lets you {verb} there.",
        "Ask for access on your start page. As soon as it is given, refresh Temporal's page.",
    ),
    Cause.TOKEN_LIMITED: Explanation(
        "Your token does not reach {namespace}",
        "You may {verb} there yourself, but this personal token was limited to less when it was made.",
        "Make a token for {namespace}, or use your session.",
    ),
    Cause.GRANTED_SINCE: Explanation(
        "You have been given access since",
        "The request was refused for want of a grant to {verb} in {namespace}. Now there is one.",
        "Refresh Temporal's page.",
    ),
    Cause.UNDECODABLE: Explanation(
        "Connected, but a payload cannot be decoded",
        "Everything about the request was right. A payload of {namespace} was encrypted with a key that this server "
        "does not have there, or not any more, or it is damaged.",
        "Tell a key custodian which workflow it is. Other payloads of the namespace may read.",
    ),
    Cause.REFUSED: Explanation(
        "The server answered {status}",
        "The request arrived and was yours, and was refused for another reason: {reason}.",
        "The Web UI's own message, and the audit of this server, say more.",
    ),
    Cause.WORKS: Explanation(
        "Temporal's page is connected",
        "Its last request to {verb} in {namespace} was answered.",
        "If a page still shows ciphertext, refresh it: it keeps what it loaded before.",
    ),
}

_NEAR = "Open the Web UI as {near}, which is allowed. If it has to be {origin}, whoever runs this server adds that."
_ON_THIS_MACHINE = "Open the Web UI by the name localhost, as this server is: 127.0.0.1 is another site to browsers."

_TOKEN_FAULTS = {
    "token_expired": ("has expired", "Reload Temporal's page, or sign in there again, for a new one."),
    "token_not_yet_valid": ("is not valid yet", "Compare the clocks of this server and of the token's issuer."),
    "token_issuer": (
        "comes from an issuer that this server does not know, or is no JWT",
        "Whoever runs this server names the issuer in CODEC_TOKEN_ISSUERS; until then, pass no access token.",
    ),
    "token_audience": (
        "is meant for somebody else",
        "Whoever runs this server compares the token's audience with the issuer's AUDIENCES setting.",
    ),
    "token_unknown_user": (
        "is of somebody this server does not know",
        "Whoever runs this server invites you, by the e-mail address or the subject of that token.",
    ),
    "token_user_disabled": ("is of an account that is switched off here", "Whoever runs this server can switch it on."),
    "token_keys_unavailable": ("cannot be checked now: its issuer does not answer", "Try again in a moment."),
}
_TOKEN_FAULT = (
    "is not valid here ({reason})",
    "The audit of this server says which check failed. Until it is repaired, pass no access token and use the cookie.",
)


def explain(diagnosis: Diagnosis, server: Server) -> Explanation:
    """Return the sentences for `diagnosis`."""
    if diagnosis.seen is None:
        return _WITHOUT_REQUEST[diagnosis.cause]
    text, values = _TEXTS[diagnosis.cause], _values(diagnosis.seen, server)
    remedy = _special_remedy(diagnosis.cause, diagnosis.seen.facts, server) or text.remedy
    return Explanation(*(part.format(**values) for part in (text.title, text.why, remedy)))


def _values(seen: Seen, server: Server) -> dict[str, str]:
    facts = seen.facts
    fault, remedy = _TOKEN_FAULTS.get(facts.reason, _TOKEN_FAULT)
    return {
        "origin": facts.origin or "a page that does not say which",
        "near": near_origin(facts.origin, server.ui_origins) or "",
        "path": facts.path,
        "public_url": server.public_url,
        "headers": ", ".join(refused_headers(facts, server)),
        "storage_access": facts.storage_access,
        "credential": facts.credential,
        "namespace": facts.namespace,
        "verb": facts.verb,
        "status": str(facts.status),
        "reason": facts.reason.replace("_", " "),
        "token_fault": fault.format(reason=facts.reason),
        "token_remedy": remedy,
    }


def _special_remedy(cause: Cause, facts: Facts, server: Server) -> str | None:
    """Return a remedy that fits better than the usual one."""
    if cause is Cause.ORIGIN_NOT_ALLOWED and near_origin(facts.origin, server.ui_origins):
        return _NEAR
    if cause is Cause.COOKIE_STAYS_ON_ITS_SITE and is_other_name_of_this_machine(facts.origin, server.public_url):
        return _ON_THIS_MACHINE
    return None

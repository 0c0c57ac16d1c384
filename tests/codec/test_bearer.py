"""Access tokens at the door: real keys, a real JWKS server, and every attack token that we know of."""

import json
import time
from typing import Any

import pytest

from codec import refusals
from codec.callers import bearer, jwks
from codec.grants import give_grant, revoke_grant
from codec.models import Grant, Identity, Invitation, User
from keys.models import AuditRecord
from tests.conftest import OPERATOR, PLAIN, UI_ORIGIN, CodecClient, signed_in
from tests.jwt_tools import (
    AUDIENCE,
    EMAIL,
    SUBJECT,
    URL,
    JwksServer,
    claims,
    ec_key,
    encode,
    jwk,
    make_token,
    rsa_key,
    rsa_pem,
    sign,
    sign_raw,
)


def now() -> int:
    return int(time.time())


@pytest.fixture(scope="module")
def shared_server():
    server = JwksServer()
    yield server
    server.stop()


@pytest.fixture
def server(shared_server):
    """The issuer's JWKS server, asked anew by every test."""
    jwks._caches.clear()
    shared_server.respond, shared_server.requests = None, 0
    yield shared_server
    jwks._caches.clear()


@pytest.fixture
def configure(settings, server):
    """Return a function that configures one more issuer with our JWKS server."""
    settings.CODEC_TOKEN_ISSUERS = []

    def add(**options: Any) -> None:
        given = {"name": "one", "url": URL, "jwks_url": server.url, "audiences": [AUDIENCE]}
        settings.CODEC_TOKEN_ISSUERS = [*settings.CODEC_TOKEN_ISSUERS, given | options]

    return add


@pytest.fixture
def known(configure, alice, granted, canary_key):
    """alice, who may decode and encode in payments, is the subject of good tokens of the one issuer."""
    configure()
    Identity.objects.create(user=alice, issuer=URL, subject=SUBJECT)
    return alice


@pytest.fixture
def extras(configure, alice, granted, canary_key):
    """The same, for an issuer whose ID tokens come in Authorization-Extras."""
    configure(header="Authorization-Extras")
    Identity.objects.create(user=alice, issuer=URL, subject=SUBJECT)
    return alice


def show(token: str, path: str = "/decode", **options: Any) -> Any:
    return CodecClient().call(path, **{"authorization": f"Bearer {token}", "origin": None} | options)


def show_extras(token: str, **options: Any) -> Any:
    return CodecClient().call("/decode", **{"authorization_extras": token} | options)


def reason() -> str:
    """Return the reason of the one refusal there was, as the audit has it."""
    refusals.flush()
    return AuditRecord.objects.get(action="request:refused").reason


def refused_for(answer: Any) -> str:
    assert answer.status_code == 401
    return reason()


# What a good token opens ----------------------------------------------------------------------------------------------


def test_token_decodes(known, encoded):
    answer = show(make_token(), body={"payloads": [encoded]})
    assert answer.json() == {"payloads": [PLAIN]}


def test_record_names_the_user_and_the_tokens_digest(known, encoded):
    token = make_token()
    show(token, body={"payloads": [encoded]})
    record = AuditRecord.objects.get(action="payload:decoded")
    assert (record.actor_name, record.credential) == ("alice", bearer.credential_name(token))
    assert record.credential.startswith("jwt ")
    assert len(record.credential) == 16


def test_ec_key_is_as_good(known):
    assert show(make_token(key=ec_key(), header={"alg": "ES256", "kid": "ec"})).status_code == 200


@pytest.mark.parametrize("typ", ["JWT", "jwt", "at+jwt", "AT+JWT", "application/at+jwt"])
def test_types_of_access_tokens(known, typ):
    assert show(make_token(header={"typ": typ})).status_code == 200


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
def test_scheme_in_any_letter_case(known, scheme):
    assert show("", authorization=f"{scheme} {make_token()}").status_code == 200


def test_one_of_several_audiences_is_ours(known):
    assert show(make_token(aud=["https://other.example.com", AUDIENCE])).status_code == 200


def test_clocks_may_differ_by_a_minute(known):
    assert show(make_token(iat=now() - 600, exp=now() - 30)).status_code == 200
    assert show(make_token(iat=now() + 30, nbf=now() + 30)).status_code == 200


def test_times_may_have_fractions(known):
    assert show(make_token(iat=now() - 0.5, exp=now() + 599.5)).status_code == 200


def test_origin_of_the_web_ui_passes_with_a_token(known):
    assert show(make_token(), origin=UI_ORIGIN).status_code == 200


def test_keys_are_fetched_once(known, server):
    for _ in range(5):
        show(make_token())
    assert server.requests == 1


# Attack tokens --------------------------------------------------------------------------------------------------------

HEADER = {"alg": "RS256", "kid": "rsa", "typ": "JWT"}


def good_payload() -> bytes:
    return json.dumps(claims()).encode()


def with_header(**changes: Any) -> str:
    return make_token(header=changes)


def forged(**header: Any) -> str:
    """Signed by another key; the header says otherwise."""
    return make_token(key=rsa_key(1), header=header)


def raw_claims(name: str, value: str) -> str:
    """A signed token with this text as the value of one claim."""
    payload = json.dumps(claims() | {name: "@"}).replace('"@"', value)
    return sign(payload.encode())


def hmac_with(secret: bytes, alg: str) -> str:
    return sign_raw(json.dumps(HEADER | {"alg": alg}), good_payload(), key=secret)


def tampered() -> str:
    head, _, signature = make_token().split(".")
    payload = encode(json.dumps(claims(sub="auth0|bob")).encode()).decode()
    return f"{head}.{payload}.{signature}"


def signature_of(length: int, token: str) -> str:
    return f"{token.rpartition('.')[0]}.{encode(bytes(length)).decode()}"


def parts() -> list[str]:
    return make_token().split(".")


ATTACKS = {
    # algorithms and keys
    "alg none": ("token_algorithm", lambda: sign_raw(json.dumps(HEADER | {"alg": "none"}), good_payload())),
    "alg None": (
        "token_algorithm",
        lambda: sign_raw(json.dumps(HEADER | {"alg": "None"}), good_payload(), algorithm="none"),
    ),
    "alg none, signed": (
        "token_algorithm",
        lambda: sign_raw(json.dumps(HEADER | {"alg": "none"}), good_payload(), algorithm="RS256"),
    ),
    "no alg": ("token_algorithm", lambda: sign_raw('{"kid":"rsa","typ":"JWT"}', good_payload(), algorithm="RS256")),
    "alg as a list": (
        "token_algorithm",
        lambda: sign_raw(json.dumps(HEADER | {"alg": ["RS256"]}), good_payload(), algorithm="RS256"),
    ),
    "alg as an object": (
        "token_algorithm",
        lambda: sign_raw(json.dumps(HEADER | {"alg": {}}), good_payload(), algorithm="RS256"),
    ),
    "HS256 with the public key": ("token_algorithm", lambda: hmac_with(rsa_pem(), "HS256")),
    "HS256 with nothing": ("token_algorithm", lambda: hmac_with(b"", "HS256")),
    "HMAC under the name RS256": ("token_signature", lambda: hmac_with(rsa_pem(), "RS256")),
    "another key of the same id": ("token_signature", forged),
    "key at jku": ("token_signature", lambda: forged(jku="https://evil.example.com/jwks.json")),
    "key in jwk": ("token_signature", lambda: forged(jwk=jwk(rsa_key(1), "rsa"))),
    "key at x5u": ("token_signature", lambda: forged(x5u="https://evil.example.com/cert.pem")),
    "RS512": ("token_algorithm", lambda: with_header(alg="RS512")),
    "PS256": ("token_algorithm", lambda: with_header(alg="PS256")),
    "ES256 with the RSA key's id": ("token_algorithm", lambda: make_token(key=ec_key(), header={"alg": "ES256"})),
    "RS256 with the EC key's id": ("token_algorithm", lambda: with_header(kid="ec")),
    "another claim under the signature": ("token_signature", tampered),
    "signature cut off": ("token_signature", lambda: ".".join(parts()[:2]) + "."),
    "signature cut short": ("token_signature", lambda: ".".join([*parts()[:2], parts()[2][:100]])),
    "EC signature too short": (
        "token_signature",
        lambda: signature_of(40, make_token(key=ec_key(), header={"alg": "ES256", "kid": "ec"})),
    ),
    "EC signature of zeros": (
        "token_signature",
        lambda: signature_of(64, make_token(key=ec_key(), header={"alg": "ES256", "kid": "ec"})),
    ),
    "no kid": ("token_key", lambda: with_header(kid=None)),
    "empty kid": ("token_key", lambda: with_header(kid="")),
    "long kid": ("token_key", lambda: with_header(kid="k" * 257)),
    "unknown kid": ("token_key_unknown", lambda: with_header(kid="other")),
    "kid of a path": ("token_key_unknown", lambda: with_header(kid="../../dev/null")),
    "kid as a number": ("token_malformed", lambda: sign_raw('{"alg":"RS256","kid":1,"typ":"JWT"}', good_payload())),
    "kid as a list": ("token_malformed", lambda: sign_raw('{"alg":"RS256","kid":["rsa"],"typ":"JWT"}', good_payload())),
    # the header
    "crit": ("token_malformed", lambda: with_header(crit=["exp"])),
    "crit of b64": ("token_malformed", lambda: with_header(crit=["b64"], b64=False)),
    "empty crit": ("token_malformed", lambda: with_header(crit=[])),
    "b64 without crit": ("token_malformed", lambda: with_header(b64=False)),
    "no typ": ("token_type", lambda: with_header(typ=None)),
    "typ of a logout token": ("token_type", lambda: with_header(typ="logout+jwt")),
    "typ of a proof": ("token_type", lambda: with_header(typ="dpop+jwt")),
    "typ as a list": ("token_type", lambda: with_header(typ=["JWT"])),
    "header 2000 deep": (
        "token_malformed",
        lambda: sign_raw('{"x":' + "[" * 2000 + "]" * 2000 + "}", good_payload(), algorithm="RS256"),
    ),
    "header as a list": ("token_malformed", lambda: sign_raw("[]", good_payload(), algorithm="RS256")),
    "header of junk": ("token_malformed", lambda: sign_raw("junk", good_payload(), algorithm="RS256")),
    "header not UTF-8": ("token_malformed", lambda: sign_raw(b'{"alg":"\xff"}', good_payload(), algorithm="RS256")),
    # time
    "expired": ("token_expired", lambda: make_token(iat=now() - 700, exp=now() - 120)),
    "expired long ago": ("token_expired", lambda: make_token(iat=0, exp=1)),
    "nbf in two minutes": ("token_not_yet_valid", lambda: make_token(nbf=now() + 130)),
    "iat in two minutes": ("token_not_yet_valid", lambda: make_token(iat=now() + 130)),
    "no exp": ("token_claims", lambda: make_token(exp=None)),
    "no iat": ("token_claims", lambda: make_token(iat=None)),
    "exp null": ("token_claims", lambda: raw_claims("exp", "null")),
    "exp as a string": ("token_claims", lambda: raw_claims("exp", f'"{now() + 600}"')),
    "exp as a bool": ("token_claims", lambda: raw_claims("exp", "true")),
    "exp as a list": ("token_claims", lambda: raw_claims("exp", f"[{now() + 600}]")),
    "exp as an object": ("token_claims", lambda: raw_claims("exp", "{}")),
    "exp NaN": ("token_claims", lambda: raw_claims("exp", "NaN")),
    "exp Infinity": ("token_claims", lambda: raw_claims("exp", "Infinity")),
    "exp 1e400": ("token_claims", lambda: raw_claims("exp", "1e400")),
    "exp 10^30": ("token_claims", lambda: raw_claims("exp", str(10**30))),
    "exp of 5000 digits": ("token_malformed", lambda: raw_claims("exp", "9" * 5000)),
    "exp negative": ("token_claims", lambda: raw_claims("exp", "-1")),
    "exp in a year": ("token_lifetime", lambda: make_token(exp=now() + 365 * 86400)),
    "a day and a second": ("token_lifetime", lambda: make_token(iat=now() - 10, exp=now() + 86391)),
    "iat long ago, exp soon": ("token_lifetime", lambda: make_token(iat=0)),
    "iat as a string": ("token_claims", lambda: raw_claims("iat", f'"{now()}"')),
    "iat -Infinity": ("token_claims", lambda: raw_claims("iat", "-Infinity")),
    "nbf as an object": ("token_claims", lambda: raw_claims("nbf", "{}")),
    "nbf NaN": ("token_claims", lambda: raw_claims("nbf", "NaN")),
    # whom it is from, for and about
    "aud of another": ("token_audience", lambda: make_token(aud="https://other.example.com")),
    "aud of others": ("token_audience", lambda: make_token(aud=["https://other.example.com", "x"])),
    "aud that begins like ours": ("token_audience", lambda: make_token(aud=f"{AUDIENCE}.evil.example")),
    "aud in other letters": ("token_audience", lambda: make_token(aud=AUDIENCE.upper())),
    "empty aud": ("token_claims", lambda: make_token(aud=[])),
    "aud as an object": ("token_audience", lambda: make_token(aud={AUDIENCE: 1})),
    "aud with numbers": ("token_audience", lambda: make_token(aud=[1, AUDIENCE])),
    "no aud": ("token_claims", lambda: make_token(aud=None)),
    "iss of another": ("token_issuer", lambda: make_token(iss="https://evil.example.com/")),
    "iss without its slash": ("token_issuer", lambda: make_token(iss=URL.rstrip("/"))),
    "iss in other letters": ("token_issuer", lambda: make_token(iss=URL.upper())),
    "iss as a list": ("token_issuer", lambda: make_token(iss=[URL])),
    "iss as an object": ("token_issuer", lambda: make_token(iss={URL: 1})),
    "empty iss": ("token_issuer", lambda: make_token(iss="")),
    "no iss": ("token_issuer", lambda: make_token(iss=None)),
    "no sub": ("token_claims", lambda: make_token(sub=None)),
    "sub as a number": ("token_claims", lambda: make_token(sub=1)),
    "sub as a list": ("token_claims", lambda: make_token(sub=[SUBJECT])),
    "empty sub": ("token_unknown_user", lambda: make_token(sub="")),
    "sub with a space": ("token_unknown_user", lambda: make_token(sub=f"{SUBJECT} ")),
    "sub in other letters": ("token_unknown_user", lambda: make_token(sub=SUBJECT.upper())),
    "sub with NUL": ("token_unknown_user", lambda: make_token(sub=f"{SUBJECT}\0")),
    "sub beyond ASCII": ("token_unknown_user", lambda: make_token(sub="auth0|\u0430lice")),
    "long sub": ("token_unknown_user", lambda: make_token(sub="s" * 300)),
    "sub of nobody here": ("token_unknown_user", lambda: make_token(sub="auth0|nobody")),
    # the payload
    "ID token with a nonce": ("token_use", lambda: make_token(nonce="n")),
    "ID token with at_hash": ("token_use", lambda: make_token(at_hash="h")),
    "logout token": (
        "token_use",
        lambda: make_token(events={"http://schemas.openid.net/event/backchannel-logout": {}}),
    ),
    "payload as a list": ("token_malformed", lambda: sign(b"[]")),
    "payload as a string": ("token_malformed", lambda: sign(b'"x"')),
    "payload null": ("token_malformed", lambda: sign(b"null")),
    "payload of nothing": ("token_malformed", lambda: sign(b"")),
    "payload not UTF-8": ("token_malformed", lambda: sign(b'{"iss":"\xff"}')),
    "payload 900 deep": ("token_malformed", lambda: sign(b"[" * 900 + b"]" * 900)),
    "payload 5000 deep": ("token_malformed", lambda: sign(b"[" * 5000)),
    "8 KiB and a byte": (
        "token_too_large",
        lambda: make_token(pad="p" * 6000)[: 8 * 1024 + 1].ljust(8 * 1024 + 1, "A"),
    ),
    # no JWT at all
    "junk": ("token_malformed", lambda: "junk"),
    "dots": ("token_malformed", lambda: ".."),
    "two parts": ("token_malformed", lambda: ".".join(parts()[:2])),
    "four parts": ("token_malformed", lambda: make_token() + ".AAAA"),
    "five parts": ("token_malformed", lambda: ".".join(["e30"] * 5)),
    "padding": ("token_malformed", lambda: make_token() + "==="),
    "other base64": ("token_malformed", lambda: "+/+/." + ".".join(parts()[1:])),
}


@pytest.mark.parametrize(("expected", "attack"), ATTACKS.values(), ids=ATTACKS)
def test_attack_token_is_401_and_the_audit_says_why(known, expected, attack):
    assert refused_for(show(attack())) == expected


@pytest.mark.parametrize(("expected", "attack"), ATTACKS.values(), ids=ATTACKS)
def test_attack_token_opens_nothing_beside_a_good_cookie(known, browser, expected, attack):
    answer = browser.call("/decode", authorization=f"Bearer {attack()}")
    assert answer.status_code == 401


AROUND = ["Bearer  {}", " Bearer {}", "Bearer {} ", "Bearer\t{}", "Bearer {}\n", "Bearer {}\r\nX: y", "Bearer \n{}"]
NOT_BEARER = ["{}", "Basic {}", "Bearer", "Bearer ", "Bearer{}", "Token {}", "Bearer Bearer {}", "Bearer token={}"]
JOINED = ["Bearer {},Bearer {}", "Bearer {}, Bearer {}", "Bearer {},", "Bearer {},{}", ",Bearer {}", "Bearer {};a=b"]


@pytest.mark.parametrize("header", [*AROUND, *NOT_BEARER, *JOINED, "", "Bearer \u212aey", "Be\u0430rer {}"])
def test_header_that_is_not_one_bearer_token_is_401(known, header):
    token = make_token()
    assert refused_for(show("", authorization=header.format(token, token))) == "token_malformed"


# What the caller is told ----------------------------------------------------------------------------------------------


def test_expired_is_said_so(known):
    answer = show(make_token(iat=now() - 700, exp=now() - 120))
    assert answer.json()["detail"].startswith("Your access token has expired. ")


def test_expired_is_not_said_of_a_forged_token(known):
    answer = show(make_token(key=rsa_key(1), iat=now() - 700, exp=now() - 120))
    assert answer.json()["detail"] == bearer.NOT_ACCEPTED


def test_everything_that_is_wrong_with_a_token_reads_the_same(known):
    attacks = [
        attack for expected, attack in ATTACKS.values() if expected not in {"token_expired", "token_unknown_user"}
    ]
    assert {show(attack()).json()["detail"] for attack in attacks} == {bearer.NOT_ACCEPTED}


def test_unknown_user_is_told_whom_to_ask(known):
    assert "administrators" in show(make_token(sub="auth0|nobody")).json()["detail"]


def test_unknown_subject_is_logged_for_whoever_invites(known, caplog):
    show(make_token(sub="auth0|nobody"))
    assert "auth0|nobody" in caplog.text


@pytest.mark.parametrize(
    "attack", [lambda: make_token(sub="auth0|nobody"), lambda: make_token(iat=now() - 700, exp=now() - 120)]
)
def test_refusal_of_a_token_that_its_issuer_signed_names_it(known, attack):
    token = attack()
    show(token)
    refusals.flush()
    assert AuditRecord.objects.get(action="request:refused").credential == bearer.credential_name(token)


def test_refusal_of_a_forged_token_does_not(known):
    show(make_token(key=rsa_key(1)))
    refusals.flush()
    assert AuditRecord.objects.get(action="request:refused").credential == ""


def test_401_says_which_ways_in_exist(known):
    challenges = show("junk")["WWW-Authenticate"]
    assert challenges == 'CodecSession login="http://localhost:8888/login/", Bearer error="invalid_token"'


def test_401_without_a_token_accuses_nobody(payments):
    answer = CodecClient().call("/decode")
    assert answer["WWW-Authenticate"] == 'CodecSession login="http://localhost:8888/login/", Bearer'


# Which header carries the token ---------------------------------------------------------------------------------------


def test_id_token_in_extras_decodes(extras, encoded):
    token = make_token(nonce="n", at_hash="h")
    assert show_extras(token, body={"payloads": [encoded]}).json() == {"payloads": [PLAIN]}


@pytest.mark.parametrize("opaque", ["ya29.a0AfH6SMC", "opaque", "e30.e30.e30.e30.e30", "tcp_x"])
def test_opaque_access_token_beside_a_good_id_token(extras, opaque):
    assert show_extras(make_token(nonce="n"), authorization=f"Bearer {opaque}").status_code == 200


def test_access_token_of_the_same_provider_beside_a_good_id_token(extras):
    access = make_token(aud="https://graph.example.com", header={"typ": "at+jwt"})
    assert show_extras(make_token(nonce="n"), authorization=f"Bearer {access}").status_code == 200


def test_opaque_access_token_alone_is_401(extras):
    assert refused_for(show("opaque")) == "token_malformed"


def test_id_token_in_the_wrong_header_is_401(extras):
    assert refused_for(show(make_token())) == "token_issuer"


def test_extras_without_an_issuer_for_it_is_401(known):
    assert refused_for(show_extras(make_token())) == "token_issuer"


def test_extras_beside_a_good_access_token_is_not_looked_at(known):
    assert show(make_token(), authorization_extras="junk,junk").status_code == 200


def test_bad_access_token_is_not_saved_by_a_good_id_token(extras, configure):
    configure(name="two", url="https://two.example.com/")
    bad = make_token(iss="https://two.example.com/", aud="https://other.example.com")
    assert refused_for(show_extras(make_token(), authorization=f"Bearer {bad}")) == "token_audience"


@pytest.mark.parametrize("authorization", ["Bearer a,Bearer b", "Basic eA==", "Bearer  x", ""])
def test_malformed_authorization_is_not_saved_by_a_good_id_token(extras, authorization):
    assert refused_for(show_extras(make_token(), authorization=authorization)) == "token_malformed"


@pytest.mark.parametrize("form", ["Bearer {}", "{},{}", "{} ", " {}", "{}\n", "", "{};x"])
def test_extras_that_is_not_one_token_is_401(extras, form):
    token = make_token()
    assert refused_for(show_extras(form.format(token, token))) == "token_malformed"


def test_access_token_posing_as_an_id_token_is_401(extras):
    assert refused_for(show_extras(make_token(header={"typ": "at+jwt"}))) == "token_type"


def test_logout_token_posing_as_an_id_token_is_401(extras):
    assert refused_for(show_extras(make_token(events={}))) == "token_use"


@pytest.mark.parametrize(
    ("audience", "party", "status"),
    [
        (AUDIENCE, AUDIENCE, 200),
        ([AUDIENCE], None, 200),
        ([AUDIENCE, "other"], AUDIENCE, 200),
        ([AUDIENCE, "other"], None, 401),
        (AUDIENCE, "other", 401),
        (AUDIENCE, [AUDIENCE], 401),
        (AUDIENCE, {}, 401),
    ],
)
def test_id_token_is_for_the_party_it_was_issued_to(extras, audience, party, status):
    assert show_extras(make_token(aud=audience, azp=party)).status_code == status


def test_personal_token_is_no_jwt(extras):
    assert show_extras(make_token(), authorization="Bearer tcs_nonsense").status_code == 401


# Never the cookie -----------------------------------------------------------------------------------------------------


def test_token_decides_and_not_the_cookie(known, mallory, encoded):
    Identity.objects.create(user=mallory, issuer=URL, subject="auth0|mallory")
    answer = signed_in(known).call(
        "/decode", {"payloads": [encoded]}, authorization=f"Bearer {make_token(sub='auth0|mallory')}"
    )
    assert answer.status_code == 403
    record = AuditRecord.objects.filter(action="payload:decoded").first()
    assert record.actor_name == "mallory"


def test_no_issuer_configured_means_no_token(configure, browser):
    answer = browser.call("/decode", authorization=f"Bearer {make_token()}")
    assert refused_for(answer) == "token_issuer"


# What an issuer's settings decide -------------------------------------------------------------------------------------


def test_issuer_of_untyped_tokens(configure, known, settings):
    settings.CODEC_TOKEN_ISSUERS[0]["untyped"] = True
    assert show(make_token(header={"typ": None})).status_code == 200
    assert show(make_token(header={"typ": "logout+jwt"})).status_code == 401


def test_lifetime_is_the_issuers(known, settings):
    settings.CODEC_TOKEN_ISSUERS[0]["max_lifetime_seconds"] = 300
    assert refused_for(show(make_token())) == "token_lifetime"


@pytest.mark.parametrize(("exp", "status"), [(250_000_000_000 - 1, 200), (250_000_000_000, 401), (2**53, 401)])
def test_lifetime_beyond_every_calendar_is_refused_even_if_configured(known, settings, exp, status):
    settings.CODEC_TOKEN_ISSUERS[0]["max_lifetime_seconds"] = 10**15
    assert show(make_token(exp=exp)).status_code == status


def test_algorithms_are_the_issuers(known, settings):
    settings.CODEC_TOKEN_ISSUERS[0]["algorithms"] = ["PS256"]
    assert show(make_token(header={"alg": "PS256"})).status_code == 200
    assert refused_for(show(make_token())) == "token_algorithm"


def test_symmetric_algorithm_has_no_key_even_if_configured(known, settings):
    settings.CODEC_TOKEN_ISSUERS[0]["algorithms"] = ["HS256", "none"]
    assert refused_for(show(hmac_with(rsa_pem(), "HS256"))) == "token_algorithm"


def test_subject_of_one_issuer_is_nobody_at_another(known, configure):
    configure(name="two", url="https://two.example.com/")
    assert refused_for(show(make_token(iss="https://two.example.com/"))) == "token_unknown_user"


# Who it is ------------------------------------------------------------------------------------------------------------


def test_disabled_user_is_refused_at_the_next_request(known):
    assert show(make_token()).status_code == 200
    User.objects.filter(pk=known.pk).update(is_active=False)
    assert refused_for(show(make_token())) == "token_user_disabled"


def test_user_without_a_grant_is_403(known):
    revoke_grant(Grant.objects.get(), actor=OPERATOR, reason="test")
    assert show(make_token()).status_code == 403


def test_revoked_grant_is_refused_at_the_next_request_with_the_same_token(known, encoded):
    token = make_token()
    assert show(token, body={"payloads": [encoded]}).status_code == 200
    revoke_grant(Grant.objects.get(), actor=OPERATOR, reason="test")
    assert show(token, body={"payloads": [encoded]}).status_code == 403


def test_identity_taken_away_is_refused_at_the_next_request(known):
    Identity.objects.all().delete()
    assert refused_for(show(make_token())) == "token_unknown_user"


def test_token_expires_between_two_requests(known, settings, monkeypatch):
    monkeypatch.setattr(bearer, "LEEWAY_SECONDS", 0)
    token = make_token(exp=int(time.time()) + 2)
    assert show(token).status_code == 200
    time.sleep(2.1)
    assert refused_for(show(token)) == "token_expired"


def test_token_of_another_namespace_is_403(known):
    assert show(make_token(), namespace="billing").status_code == 403


class TestInvitation:
    @pytest.fixture
    def invited(self, configure, alice, granted, canary_key):
        configure(email_claim="email", email_trusted=True)
        return Invitation.objects.create(user=alice, email=EMAIL, issuer=URL, invited_by="bob")

    def test_trusted_address_binds_and_decodes_at_once(self, invited, encoded):
        answer = show(make_token(email="Alice@Example.com"), body={"payloads": [encoded]})
        assert answer.json() == {"payloads": [PLAIN]}
        assert Identity.objects.get().subject == SUBJECT

    def test_binding_is_recorded_once_and_not_under_the_cookies_name(self, invited, mallory):
        token = make_token(email=EMAIL)
        for _ in range(2):
            signed_in(mallory).call("/decode", authorization=f"Bearer {token}")
        record = AuditRecord.objects.get(action="identity:bound")
        assert (record.actor_kind, record.actor_name) == ("anonymous", "")
        assert (record.details["user"], record.details["subject"]) == ("alice", SUBJECT)

    def test_address_is_not_needed_later(self, invited):
        show(make_token(email=EMAIL))
        assert show(make_token()).status_code == 200

    def test_same_address_with_another_subject_is_nobody(self, invited):
        show(make_token(email=EMAIL))
        assert refused_for(show(make_token(email=EMAIL, sub="auth0|other"))) == "token_unknown_user"

    @pytest.mark.parametrize("verified", [False, "true", "false", None, 1, 0, {}])
    def test_address_that_is_not_verified_binds_nothing(self, invited, verified):
        token = sign(json.dumps(claims(email=EMAIL) | {"email_verified": verified}).encode())
        assert refused_for(show(token)) == "token_unknown_user"

    def test_verified_address_binds(self, invited):
        assert show(make_token(email=EMAIL, email_verified=True)).status_code == 200

    @pytest.mark.parametrize(
        "email", ["", "other@example.com", [EMAIL], {"a": EMAIL}, 1, True, f"{EMAIL} ", "al\u0131ce@example.com"]
    )
    def test_other_addresses_bind_nothing(self, invited, email):
        assert refused_for(show(make_token(email=email))) == "token_unknown_user"

    def test_untrusted_address_binds_nothing(self, invited, settings):
        settings.CODEC_TOKEN_ISSUERS[0]["email_trusted"] = False
        assert refused_for(show(make_token(email=EMAIL))) == "token_unknown_user"

    def test_address_in_another_claim_binds_nothing(self, invited, settings):
        settings.CODEC_TOKEN_ISSUERS[0]["email_claim"] = "https://saas-api.tmprl.cloud/user/email"
        assert refused_for(show(make_token(email=EMAIL))) == "token_unknown_user"

    def test_forged_token_binds_nothing(self, invited):
        show(make_token(key=rsa_key(1), email=EMAIL))
        show(make_token(aud="other", email=EMAIL))
        assert not Identity.objects.exists()

    def test_disabled_user_is_not_bound(self, invited):
        User.objects.filter(pk=invited.user_id).update(is_active=False)
        assert refused_for(show(make_token(email=EMAIL))) == "token_unknown_user"


class TestPermissionsClaim:
    @pytest.fixture
    def claimed(self, configure, mallory, canary_key, encoded):
        """mallory has no grant; her issuer's claims count."""
        configure(permissions_claim="permissions")
        Identity.objects.create(user=mallory, issuer=URL, subject=SUBJECT)
        return encoded

    @pytest.mark.parametrize(
        ("role", "decode", "encode_"),
        [("read", 200, 403), ("write", 200, 200), ("worker", 200, 200), ("admin", 200, 200), ("other", 403, 403)],
    )
    def test_role_gives_verbs(self, claimed, role, decode, encode_):
        token = make_token(permissions=[f"payments:{role}"])
        assert show(token, body={"payloads": [claimed]}).status_code == decode
        assert show(token, "/encode", body={"payloads": [PLAIN]}).status_code == encode_

    def test_claim_for_another_namespace_is_403(self, claimed):
        assert show(make_token(permissions=["billing:admin"])).status_code == 403

    def test_claim_without_a_user_is_401(self, claimed):
        token = make_token(permissions=["payments:read"], sub="auth0|nobody")
        assert refused_for(show(token)) == "token_unknown_user"

    def test_claim_of_a_disabled_user_is_401(self, claimed):
        User.objects.update(is_active=False)
        assert refused_for(show(make_token(permissions=["payments:read"]))) == "token_user_disabled"

    def test_claim_counts_only_where_it_is_switched_on(self, claimed, settings):
        settings.CODEC_TOKEN_ISSUERS[0]["permissions_claim"] = ""
        assert show(make_token(permissions=["payments:admin"])).status_code == 403

    def test_claim_adds_to_a_grant(self, claimed, mallory, payments):
        give_grant(mallory, payments, decode=True, encode=False, actor=OPERATOR, reason="test")
        token = make_token(permissions=["payments:write"])
        assert show(token, "/encode", body={"payloads": [PLAIN]}).status_code == 200


# When the issuer is away ----------------------------------------------------------------------------------------------


def test_keys_unavailable_is_503_and_not_401(known, server):
    server.respond = server.send(b"", 503)
    answer = show(make_token())
    assert (answer.status_code, answer["Retry-After"]) == (503, "5")
    assert "issuer does not answer" in answer.json()["detail"]
    assert reason() == "token_keys_unavailable"


def test_cookie_is_not_touched_by_that(known, server, browser):
    server.respond = server.send(b"", 503)
    show(make_token())
    assert browser.call("/decode").status_code == 200


def test_flood_of_unknown_keys_costs_no_fetch(known, server, monkeypatch):
    monkeypatch.setitem(jwks._caches, server.url, jwks.JwksCache(server.url, clock=lambda: 0.0))
    show(make_token())
    for number in range(300):
        assert show(sign_raw(json.dumps(HEADER | {"kid": f"k{number}"}), good_payload())).status_code == 401
    assert server.requests == 1


def test_token_of_an_unknown_issuer_costs_no_fetch(known, server):
    show(make_token(iss="https://evil.example.com/"))
    assert server.requests == 0

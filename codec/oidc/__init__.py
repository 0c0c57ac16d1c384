"""Single sign-on: OpenID Connect's authorization code flow, through mozilla-django-oidc, made strict.

A person is (issuer, subject). `backend.py` decides who came, `views.py` is their way there and back. What
mozilla-django-oidc 5.0.2 lets through as it comes (other audiences, other issuers, e-mail addresses as identities,
disabled users, errors as pages 500) is refused here; tests/codec/test_oidc.py holds a test for each.
"""

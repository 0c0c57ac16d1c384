"""The codec protocol at any prefix, and the pages for people."""

from django.urls import include, path, re_path

from codec import connect_pages, pages, read_pages, views
from codec.oidc import views as oidc

urlpatterns = [
    re_path(r"^(?:.*/)?decode\Z", views.decode),
    re_path(r"^(?:.*/)?encode\Z", views.encode),
    re_path(r"^(?:.*/)?download\Z", views.download),
    path("", pages.home, name="home"),
    path("connect/", connect_pages.connect_page, name="connect"),
    path("connect/seen/", connect_pages.connect_seen, name="connect_seen"),
    path("read/", read_pages.read_page, name="read"),
    path("read/part/", read_pages.read_part, name="read_part"),
    path("login/", pages.SignInView.as_view(), name="login"),
    path("login/sso/", oidc.StartView.as_view(), name="sso"),
    path("login/sso/callback/", oidc.CallbackView.as_view(), name="sso_callback"),
    path("logout/", oidc.sign_out, name="logout"),
    path("", include("codec.account_urls")),
    path("", include("codec.access_urls")),
    path("healthz", pages.healthz, name="healthz"),
    path("readyz", pages.readyz, name="readyz"),
]

"""The codec protocol at any prefix, and the pages for people."""

from django.contrib.auth.views import LogoutView
from django.urls import path, re_path

from codec import pages, views

urlpatterns = [
    re_path(r"^(?:.*/)?decode\Z", views.decode),
    re_path(r"^(?:.*/)?encode\Z", views.encode),
    re_path(r"^(?:.*/)?download\Z", views.download),
    path("", pages.home, name="home"),
    path("login/", pages.SignInView.as_view(), name="login"),
    path("logout/", LogoutView.as_view(), name="logout"),
    path("healthz", pages.healthz, name="healthz"),
    path("readyz", pages.readyz, name="readyz"),
]

"""Where people look after their tokens, sessions and password."""

from django.urls import path, re_path

from codec import account_pages

urlpatterns = [
    path("tokens/", account_pages.my_tokens, name="tokens"),
    path("tokens/<int:pk>/revoke/", account_pages.revoke_token, name="revoke_token"),
    path("services/<int:pk>/tokens/", account_pages.service_token, name="service_token"),
    path("sessions/", account_pages.my_sessions, name="sessions"),
    path("sessions/end-all/", account_pages.end_all_sessions, name="end_all_sessions"),
    re_path(r"^sessions/(?P<label>[0-9a-f]{12})/end/\Z", account_pages.end_session, name="end_session"),
    path("password/", account_pages.PasswordPage.as_view(), name="password"),
]

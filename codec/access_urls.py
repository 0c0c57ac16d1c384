"""Where people ask for access, answer, and take it in an emergency."""

from django.urls import path

from codec import access_pages

urlpatterns = [
    path("access/request/", access_pages.ask, name="request_access"),
    path("access/requests/<int:pk>/", access_pages.answer, name="answer_request"),
    path("access/requests/<int:pk>/withdraw/", access_pages.withdraw, name="withdraw_request"),
    path("access/break-glass/", access_pages.take_break_glass, name="break_glass"),
]

from django.contrib import admin
from django.urls import include, path

urlpatterns = [
    path("", include("codec.urls")),
    path("admin/", admin.site.urls),
]

handler400 = "codec.error_pages.bad_request"
handler403 = "codec.error_pages.forbidden"
handler404 = "codec.error_pages.not_found"
handler500 = "codec.error_pages.server_error"

"""Which package answers which path."""

from django.contrib import admin
from django.urls import include, path

from marketplace.api import documents
from marketplace.web import errors

urlpatterns = [
    path("api/v1/", include("marketplace.api.urls")),
    path("healthz", documents.healthz),
    path("readyz", documents.readyz),
    path("admin/", admin.site.urls),
    path("ops/", include("marketplace.ops.urls")),
    path("", include("marketplace.web.urls")),
]

handler400 = errors.bad_request
handler403 = errors.forbidden
handler404 = errors.not_found
handler500 = errors.server_error

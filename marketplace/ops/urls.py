"""The paths of the pages for staff, besides the admin."""

from django.urls import path

from marketplace.ops import pages, waiting

urlpatterns = [
    path("", waiting.waiting, name="waiting"),
    path("books", pages.books, name="books"),
]

"""The paths of the pages for staff, besides the admin."""

from django.urls import path

from marketplace.ops import pages

urlpatterns = [path("books", pages.books, name="books")]

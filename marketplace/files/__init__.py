"""Uploads: content-addressed files, and who may read them."""

"""Settings under which django-hordak runs beside us: its own documentation's, and nothing else."""

import os

from psycopg.conninfo import conninfo_to_dict

_facts = conninfo_to_dict(os.environ["DATABASE_URL"])

SECRET_KEY = "of-a-bench"
INSTALLED_APPS = ["django.contrib.contenttypes", "django.contrib.auth", "mptt", "djmoney", "hordak"]
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": _facts["dbname"],
        "USER": _facts["user"],
        "HOST": _facts["host"],
        "PORT": _facts["port"],
    }
}
USE_TZ = True
DEFAULT_AUTO_FIELD = "django.db.models.AutoField"
CURRENCIES = ("EUR",)
DEFAULT_CURRENCY = "EUR"

"""The product's settings with what a test run changes, set before the product reads them."""

import atexit
import os
import shutil
import tempfile
from pathlib import Path

# The first process of a run makes the folder; the others are told by the environment. Each has a
# data folder of its own in it, never the one of `make run`: a test must not find its servers.
if "HANSA_TEST_RUN_FOLDER" not in os.environ:
    os.environ["HANSA_TEST_RUN_FOLDER"] = tempfile.mkdtemp(prefix="hansa-tests-")
    atexit.register(shutil.rmtree, os.environ["HANSA_TEST_RUN_FOLDER"], ignore_errors=True)
RUN_FOLDER = Path(os.environ["HANSA_TEST_RUN_FOLDER"])
DATA_FOLDER = RUN_FOLDER / os.environ.get("PYTEST_XDIST_WORKER", "alone")
DATA_FOLDER.mkdir(exist_ok=True)

os.environ |= {
    "HANSA_DATA": str(DATA_FOLDER),
    "HANSA_SECRET_KEY": "known-to-every-test-and-signs-nothing-real",
    "HANSA_RATE_LIMITS": "off",
    "HANSA_GRANTS_PER_ADDRESS_PER_DAY": "off",
    "HANSA_DATABASE_POOL_CONNECTIONS": "0",
    "HANSA_LOG_LEVEL": "WARNING",
    "HANSA_PUBLIC_URL": "http://testserver",
    "HANSA_MAIL_URL": "smtp://localhost",  # pytest-django keeps mails to itself
}
for shared in (
    "BROKER_URL",
    "HANSA_ALLOWED_HOSTS",
    "HANSA_DATABASE_OWNER_URL",
    "HANSA_DEBUG",
):
    os.environ.pop(shared, None)

from marketplace.settings import *  # noqa: E402, F403 - the environment had to come first

STATIC_ROOT = DATA_FOLDER  # exists, and holds nothing: finders serve what tests ask for
WHITENOISE_AUTOREFRESH = True  # or every test client reads all static files, ten milliseconds each
CELERY_TASK_ALWAYS_EAGER = True
CELERY_TASK_EAGER_PROPAGATES = True
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]  # guards no real password

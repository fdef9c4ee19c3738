"""The stores' generated passwords and keys: made once for a data folder, kept there for its owner alone."""

import json
import os
import secrets
from dataclasses import asdict, dataclass, field
from pathlib import Path

FILE_NAME = "credentials.json"


def _secret() -> str:
    return secrets.token_urlsafe(24)


@dataclass(frozen=True)
class Credentials:
    """Safe inside a URL without quoting. The superuser administers PostgreSQL, `huntaze` owns its database."""

    postgres_superuser_password: str = field(default_factory=_secret, repr=False)
    postgres_password: str = field(default_factory=_secret, repr=False)
    valkey_password: str = field(default_factory=_secret, repr=False)
    s3_access_key: str = field(default_factory=lambda: "HUNTAZE" + secrets.token_hex(6).upper())
    s3_secret_key: str = field(default_factory=_secret, repr=False)


def load_or_create(data_dir: Path) -> Credentials:
    """The folder's credentials; new ones, written with mode 0600, in a folder that has none."""
    path = data_dir / FILE_NAME
    if path.exists():
        return Credentials(**json.loads(path.read_text()))
    made = Credentials()
    write_private(path, json.dumps(asdict(made), indent=2) + "\n")
    return made


def write_private(path: Path, text: str) -> None:
    """Write a file that its owner alone may read, all of it or nothing: a crash leaves the old one."""
    draft = path.with_name(f".{path.name}.new")
    draft.unlink(missing_ok=True)
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
    draft.replace(path)

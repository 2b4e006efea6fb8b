"""Identifiers leave the program only as hashes that nobody outside this installation can repeat."""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import os
import secrets
import sys
from pathlib import Path

_SALT_BYTES = 32


def settings_folder() -> Path:
    """The user's folder for this program's own files; the variable FRACSEG_HOME overrides it."""
    if home := os.environ.get("FRACSEG_HOME"):
        return Path(home)
    if sys.platform == "win32":
        return Path(os.environ.get("APPDATA") or Path.home() / "AppData" / "Roaming") / "fracseg"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Application Support" / "fracseg"
    return Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "fracseg"


def install_salt() -> bytes:
    """The secret of this installation, made at its first use.

    Where it cannot be stored (no writable home) a fresh one is given each time: hashes then
    still hide what they hide, but do not agree between two runs.

    Returns:
        32 random bytes.
    """
    try:
        return _stored_salt(settings_folder() / "salt")
    except (OSError, RuntimeError):  # RuntimeError: the user has no home folder
        return secrets.token_bytes(_SALT_BYTES)


def hashed_identifier(identifier: str, salt: bytes) -> str:
    """64 hexadecimal digits that stand for `identifier`; "" for an empty one."""
    if not identifier:
        return ""
    return hmac.new(salt, identifier.encode(), hashlib.sha256).hexdigest()


def _stored_salt(path: Path) -> bytes:
    salt = _salt_in(path)
    if salt is None:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        _store(path, secrets.token_bytes(_SALT_BYTES))
        salt = _salt_in(path)
    if salt is None:
        raise OSError("the salt could not be stored")
    return salt


def _salt_in(path: Path) -> bytes | None:
    with contextlib.suppress(FileNotFoundError):
        salt = path.read_bytes()
        if len(salt) == _SALT_BYTES:
            return salt
    return None


def _store(path: Path, salt: bytes) -> None:
    """Put a whole file in place; of two processes at once, the first one's salt stays."""
    draft = path.with_name(f"salt-{secrets.token_hex(8)}")
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(salt)
        # Looked at again: another process may have stored a good one since it was found missing.
        if path.exists() and _salt_in(path) is None:
            draft.replace(path)
        else:
            with contextlib.suppress(FileExistsError):
                os.link(draft, path)
    finally:
        draft.unlink(missing_ok=True)

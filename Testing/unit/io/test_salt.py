from __future__ import annotations

import os
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from FractureSegmentationLib.io.salt import hashed_identifier, install_salt, settings_folder


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A settings folder that is not there yet."""
    monkeypatch.setenv("FRACSEG_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def test_an_installation_keeps_its_salt(home: Path) -> None:
    salt = install_salt()

    assert len(salt) == 32
    assert install_salt() == salt
    assert [path.name for path in home.iterdir()] == ["salt"]


def test_two_installations_differ(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = install_salt()
    monkeypatch.setenv("FRACSEG_HOME", str(tmp_path / "other"))

    assert install_salt() != first


@pytest.mark.skipif(os.name != "posix", reason="permissions are POSIX's")
def test_only_its_user_may_read_the_salt(home: Path) -> None:
    install_salt()

    assert stat.S_IMODE((home / "salt").stat().st_mode) == 0o600


def test_a_damaged_salt_is_replaced_once(home: Path) -> None:
    home.mkdir()
    (home / "salt").write_bytes(b"short")

    salt = install_salt()

    assert len(salt) == 32
    assert install_salt() == salt


def test_processes_that_start_together_agree_on_one_salt(home: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        salts = set(pool.map(lambda _: install_salt(), range(32)))

    assert len(salts) == 1


def test_without_a_place_to_keep_it_the_salt_is_fresh_each_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("FRACSEG_HOME", str(tmp_path / "file" / "home"))

    assert len(install_salt()) == 32
    assert install_salt() != install_salt()


def test_without_the_variable_the_salt_lives_in_the_users_settings(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("FRACSEG_HOME")

    assert settings_folder().name == "fracseg"


def test_a_hash_depends_on_the_salt_and_hides_the_identifier() -> None:
    """HMAC-SHA256 of "what do ya want for nothing?" with key "Jefe": RFC 4231, test case 2."""
    digest = hashed_identifier("what do ya want for nothing?", b"Jefe")

    assert digest == "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
    assert hashed_identifier("what do ya want for nothing?", b"other") != digest


def test_nothing_is_not_hashed() -> None:
    assert hashed_identifier("", b"salt") == ""

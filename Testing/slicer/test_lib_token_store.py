"""The token in a keyring of the package `keyring` itself: the system's, a plain file's, several; skipped where it is missing."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

import pytest

slicer = pytest.importorskip("slicer", reason="slicer-core is not installed")
keyring = pytest.importorskip("keyring", reason="the package 'keyring' is not installed")
from keyring.backend import KeyringBackend  # noqa: E402
from keyring.backends.chainer import ChainerBackend  # noqa: E402
from opened_module import *  # noqa: E402, F403

from DiffuGTSSlicerLib.setup_settings import SetupSettings  # noqa: E402
from DiffuGTSSlicerLib.token_store import SERVICE, TokenStore  # noqa: E402

ADDRESS, TOKEN = "https://gpu-server:8765", "a token of more than twenty-four characters: ä€"


@pytest.fixture
def settings(host):
    return SetupSettings()


@pytest.fixture
def plain_file(tmp_path):
    """A keyring that is a file anybody can read who reads the user's files."""
    alternative = pytest.importorskip("keyrings.alt.file", reason="the package 'keyrings.alt' is not installed")
    backend = alternative.PlaintextKeyring()
    backend.file_path = str(tmp_path / "plain.cfg")
    return backend


@pytest.fixture
def behind():
    """Puts a keyring behind the package, for a test."""
    before = keyring.get_keyring()
    yield keyring.set_keyring
    keyring.set_keyring(before)


def require_kept_and_forgotten(settings: SetupSettings) -> None:
    """A token is kept, read by a new start of Slicer, and forgotten; the settings never have it."""
    assert TokenStore(settings).safe
    assert TokenStore(settings).token_of(ADDRESS) == ""
    TokenStore(settings).keep(ADDRESS, TOKEN)
    assert TokenStore(settings).token_of(ADDRESS) == TOKEN
    assert TokenStore(settings).token_of("https://other:8765") == ""
    assert keyring.get_password(SERVICE, ADDRESS) == TOKEN and not settings.server_token
    for _ in range(2):  # what is not there is forgotten too
        TokenStore(settings).keep(ADDRESS, "")
    assert TokenStore(settings).token_of(ADDRESS) == "" and keyring.get_password(SERVICE, ADDRESS) is None


def test_a_token_in_a_keyring_is_kept_read_again_and_forgotten(settings, plain_file, behind):
    class Trusted(type(plain_file)):
        priority = 5

    trusted = Trusted()
    trusted.file_path = plain_file.file_path
    behind(trusted)
    require_kept_and_forgotten(settings)


def test_a_keyring_that_is_a_plain_file_is_none_and_is_warned_of(settings, plain_file, behind, tmp_path):
    behind(plain_file)
    store = TokenStore(settings)
    store.keep(ADDRESS, TOKEN)
    assert not store.safe and not (tmp_path / "plain.cfg").exists()
    assert TokenStore(settings).token_of(ADDRESS) == TOKEN and TOKEN in settings.server_token
    store.keep(ADDRESS, "")


def test_of_several_keyrings_the_one_that_is_written_counts(settings, plain_file, behind, monkeypatch):
    monkeypatch.setattr(ChainerBackend, "backends", [plain_file, plain_file])
    assert ChainerBackend.priority == 10
    behind(ChainerBackend())
    assert not TokenStore(settings).safe


def test_a_keyring_that_refuses_leaves_the_token_in_settings_and_is_warned_of(settings, behind):
    class Locked(KeyringBackend):
        priority = 5

        def get_password(self, service, username):
            raise keyring.errors.KeyringLocked("locked")

        set_password = delete_password = get_password

    behind(Locked())
    assert TokenStore(settings).safe
    TokenStore(settings).keep(ADDRESS, TOKEN)
    assert TokenStore(settings).token_of(ADDRESS) == TOKEN and not TokenStore(settings).safe
    TokenStore(settings).keep(ADDRESS, "")
    assert TokenStore(settings).token_of(ADDRESS) == ""


UNLOCKED = 'printf test | gnome-keyring-daemon --unlock --components=secrets >/dev/null && exec "$0" -c "$1" "$2" "$3"'
IN_SECRET_SERVICE = """
import sys, types
import keyring
from keyring.backends import SecretService
from DiffuGTSSlicerLib.token_store import TokenStore

keyring.set_keyring(SecretService.Keyring())
settings = types.SimpleNamespace(server_token="")
address, token = sys.argv[1:]
assert TokenStore(settings).safe
TokenStore(settings).keep(address, token)
assert TokenStore(settings).token_of(address) == token and not settings.server_token
TokenStore(settings).keep(address, "")
assert TokenStore(settings).token_of(address) == ""
"""


@pytest.mark.skipif(sys.platform != "linux", reason="D-Bus is Linux's")
def test_a_token_in_a_secret_service_of_its_own_session(tmp_path):
    """GNOME's keyring on a private bus: the user's own is never asked."""
    missing = [name for name in ("dbus-run-session", "gnome-keyring-daemon") if shutil.which(name) is None]
    if missing:
        pytest.skip(f"{' and '.join(missing)} not installed")
    pytest.importorskip("secretstorage", reason="the package 'secretstorage' is not installed")
    told = subprocess.run(
        ["dbus-run-session", "--", "sh", "-c", UNLOCKED, sys.executable, IN_SECRET_SERVICE, ADDRESS, TOKEN],
        env={
            **os.environ,
            "HOME": str(tmp_path),
            "XDG_DATA_HOME": str(tmp_path),
            "PYTHONPATH": os.pathsep.join(sys.path),
        },
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert told.returncode == 0, told.stderr

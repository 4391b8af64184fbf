"""Envelope encryption: bound to its row, wrapped anew, and the file of master keys."""

from __future__ import annotations

import os
import time
from dataclasses import replace
from pathlib import Path

import pytest

from services.signer import master_keys, vault
from services.signer.master_keys import KeyCommand, KeyFile, Unwrappable, add_key, read_keys
from services.signer.vault import Place, Wrapped
from tradingtools.codec import sealing
from tradingtools.domain.credentials import OkxCredentials
from tradingtools.settings import SettingError

PLACE = Place(
    tenant="t", wallet="wal_1", exchange="okx", edition=1, facts=("live", "7", "1", "", "")
)
SECRETS = {"api_key": "a", "secret": "s", "passphrase": "p"}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    made = tmp_path / "keys"
    add_key(made, "first")
    return made


def test_what_is_encrypted_opens_where_it_belongs(path: Path) -> None:
    master_keys = KeyFile(path)
    key, stored = vault.new_data_key(master_keys, PLACE)
    sealed = vault.encrypt(key, PLACE, SECRETS)
    assert vault.decrypt(master_keys, stored, PLACE, sealed) == SECRETS
    assert len({ciphertext[:12] for ciphertext in sealed.values()}) == 3, "a nonce each"


@pytest.mark.parametrize(
    "moved",
    [
        replace(PLACE, tenant="u"),
        replace(PLACE, wallet="wal_2"),
        replace(PLACE, exchange="polymarket"),
        replace(PLACE, edition=2),
        replace(PLACE, facts=("live", "other", "1", "", "")),
        replace(PLACE, facts=("live", "7", "2", "", "")),
        # What a plain joining with a mark in between would take for the same.
        replace(PLACE, tenant="twal", wallet="_1"),
    ],
)
def test_a_moved_ciphertext_does_not_open(path: Path, moved: Place) -> None:
    master_keys = KeyFile(path)
    key, stored = vault.new_data_key(master_keys, PLACE)
    sealed = vault.encrypt(key, PLACE, SECRETS)
    with pytest.raises(Unwrappable):
        vault.decrypt(master_keys, stored, moved, sealed)
    # Not even where the data key was wrapped for the place that it was moved to.
    name, wrapped = master_keys.wrap(key, moved.of_key())
    with pytest.raises(Unwrappable):
        vault.decrypt(master_keys, Wrapped(master_key=name, wrapped=wrapped), moved, sealed)


def test_a_ciphertext_does_not_open_for_another_purpose(path: Path) -> None:
    master_keys = KeyFile(path)
    key, stored = vault.new_data_key(master_keys, PLACE)
    sealed = vault.encrypt(key, PLACE, SECRETS)
    swapped = {**sealed, "passphrase": sealed["secret"]}
    with pytest.raises(Unwrappable):
        vault.decrypt(master_keys, stored, PLACE, swapped)


def test_each_changed_byte_is_noticed(path: Path) -> None:
    master_keys = KeyFile(path)
    key, stored = vault.new_data_key(master_keys, PLACE)
    (sealed,) = vault.encrypt(key, PLACE, {"secret": "s"}).values()
    for at in range(len(sealed)):
        changed = bytearray(sealed)
        changed[at] ^= 1
        with pytest.raises(Unwrappable):
            vault.decrypt(master_keys, stored, PLACE, {"secret": bytes(changed)})


def test_rotation_wraps_anew_and_the_old_key_can_go(path: Path) -> None:
    old = KeyFile(path)
    key, stored = vault.new_data_key(old, PLACE)
    sealed = vault.encrypt(key, PLACE, SECRETS)
    add_key(path, "second")
    both = KeyFile(path)
    assert both.current == "second"
    assert vault.decrypt(both, stored, PLACE, sealed) == SECRETS
    fresh = vault.rewrapped(both, stored, PLACE.of_key())
    assert fresh.master_key == "second"
    path.write_text(path.read_text().splitlines(keepends=True)[1])
    alone = KeyFile(path)
    assert vault.decrypt(alone, fresh, PLACE, sealed) == SECRETS
    with pytest.raises(Unwrappable, match="first is not at hand"):
        vault.decrypt(alone, stored, PLACE, sealed)


def test_a_changed_file_is_read_again_and_a_broken_one_leaves_the_keys(path: Path) -> None:
    master_keys = KeyFile(path)
    assert not master_keys.read_again()
    add_key(path, "second")
    assert master_keys.read_again()
    assert master_keys.current == "second"
    path.write_text("second zz\n")
    with pytest.raises(SettingError, match="line 1"):
        master_keys.read_again()
    assert master_keys.current == "second"


def test_another_key_of_a_known_name_is_refused_and_the_old_one_holds(path: Path) -> None:
    """It opens nothing that its name has wrapped, and what it wraps the old one does not open."""
    master_keys = KeyFile(path)
    key, wrapped = vault.new_data_key(master_keys, PLACE)
    text = path.read_text()
    for other in ("first " + "0" * 64 + "\n", text + "second " + "1" * 64 + "\n"):
        path.write_text(other)
        if other.startswith(text):
            assert master_keys.read_again()
        else:
            with pytest.raises(SettingError, match="another key first"):
                master_keys.read_again()
    path.write_text(text)
    master_keys.read_again()
    # A name that was away is known, too.
    path.write_text(text + "second " + "2" * 64 + "\n")
    with pytest.raises(SettingError, match="another key second") as refused:
        master_keys.read_again()
    assert "2222" not in str(refused.value)
    assert master_keys.unwrap(wrapped.master_key, wrapped.wrapped, PLACE.of_key()) == key


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o700, 0o620])
def test_a_file_that_others_may_read_is_refused(path: Path, mode: int) -> None:
    path.chmod(mode)
    with pytest.raises(SettingError, match="chmod 600"):
        KeyFile(path)


@pytest.mark.parametrize("text", ["", "first\n", "a 00\n", "a " + "0" * 64 + "\na " + "1" * 64])
def test_a_malformed_file_is_refused_without_a_key_in_the_error(path: Path, text: str) -> None:
    path.write_text(text)
    with pytest.raises(SettingError) as refused:
        KeyFile(path)
    assert "0" * 16 not in str(refused.value)


def test_a_link_is_no_file_of_keys(path: Path, tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(path)
    with pytest.raises(SettingError, match="no plain file"):
        KeyFile(link)
    assert os.stat(path).st_mode & 0o777 == 0o600


def test_credentials_open_for_what_they_were_sealed_for(path: Path) -> None:
    pair, _ = vault.new_key_pair(KeyFile(path))
    given = OkxCredentials(api_key="a", secret="s", passphrase="p")
    bound = sealing.for_new("t", "bot", "okx", "live", 5)
    sealed = sealing.seal(given, pair.public, bound)
    assert sealing.unseal(sealed, pair.private, bound, "okx") == given
    other, _ = vault.new_key_pair(KeyFile(path))
    for key, what, exchange in (
        (pair, sealing.for_new("t", "bot", "okx", "live", 6), "okx"),
        (pair, sealing.for_new("t", "bo", "tokx", "live", 5), "okx"),
        (pair, sealing.for_edition("wal_1", 1), "okx"),
        (pair, bound, "polymarket"),
        (other, bound, "okx"),
    ):
        with pytest.raises(sealing.NotOpened):
            sealing.unseal(sealed, key.private, what, exchange)


def printing(path: Path, *lines: str) -> str:
    """A command that prints what a service would."""
    script = path.with_name("kms")
    script.write_text("\n".join(("#!/bin/sh", *lines)) + "\n")
    script.chmod(0o700)
    return f"{script} 'an argument' two"


def test_a_command_stands_for_the_file(path: Path) -> None:
    master_keys = read_keys("", printing(path, f"cat {path}"))
    key, stored = vault.new_data_key(KeyFile(path), PLACE)
    sealed = vault.encrypt(key, PLACE, SECRETS)
    assert vault.decrypt(master_keys, stored, PLACE, sealed) == SECRETS
    assert not master_keys.read_again()
    add_key(path, "second")
    assert master_keys.read_again()
    assert master_keys.current == "second"
    printing(path, "exit 3")
    with pytest.raises(SettingError, match="ended with status 3"):
        master_keys.read_again()
    assert master_keys.current == "second"
    assert master_keys.knows("first")


def test_a_command_learns_no_setting_and_gets_its_words(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TT_ENGINE_TOKEN", "secret")
    monkeypatch.setenv("VAULT_ADDR", "http://127.0.0.1:1")
    seen = path.with_name("seen")
    KeyCommand(printing(path, f'echo "$1|$2|$TT_ENGINE_TOKEN|$VAULT_ADDR" > {seen}', f"cat {path}"))
    assert seen.read_text() == "an argument|two||http://127.0.0.1:1\n"


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("echo name " + "0" * 63, "line 1 is not"),
        ("true", "has no key"),
        ("printf '\\377'", "no text"),
        ("exec sleep 600", "took more than"),
    ],
)
def test_a_command_that_prints_no_keys_is_refused(
    path: Path, line: str, why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(master_keys, "COMMAND_SECONDS", 60.0 if "sleep" not in line else 0.2)
    with pytest.raises(SettingError, match=why) as refused:
        KeyCommand(printing(path, line))
    assert "0" * 16 not in str(refused.value)


def test_a_command_that_takes_too_long_ends_with_what_it_began(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(master_keys, "COMMAND_SECONDS", 1.0)
    started = path.with_name("began")
    with pytest.raises(SettingError, match="took more than"):
        KeyCommand(printing(path, "sleep 600 &", f"echo $! > {started}", "wait"))
    pid = int(started.read_text())
    end = time.monotonic() + 60
    while _is_running(pid) and time.monotonic() < end:
        time.sleep(0.05)
    assert not _is_running(pid)


def _is_running(pid: int) -> bool:
    """Return whether a process runs; one that nobody has waited for does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.mark.parametrize("command", ["/there/is/none", "'", " "])
def test_a_command_that_is_none_is_refused(command: str) -> None:
    with pytest.raises(SettingError, match="TT_SIGNER_MASTER_KEY_COMMAND"):
        KeyCommand(command)


@pytest.mark.parametrize(("file", "command"), [("", ""), ("a", "b")])
def test_one_source_of_master_keys_is_named(file: str, command: str) -> None:
    with pytest.raises(SettingError, match="one of them is required"):
        read_keys(file, command)

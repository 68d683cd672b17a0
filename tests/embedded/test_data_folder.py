from pathlib import Path

import pytest

from marketplace.embedded.data_folder import DataFolder, FolderInUse, NotADataFolder


def test_a_folder_is_held_by_one_at_a_time(tmp_path: Path) -> None:
    folder = DataFolder(tmp_path / "data")

    with folder.held(), pytest.raises(FolderInUse, match="already runs"), folder.held():
        pass
    with folder.held():
        pass


def test_a_secret_key_is_made_once_and_only_its_owner_reads_it(tmp_path: Path) -> None:
    folder = DataFolder(tmp_path)

    folder.keep_secret_key()
    first = (tmp_path / "secret_key").read_text()
    folder.keep_secret_key()

    assert len(first.strip()) >= 50
    assert (tmp_path / "secret_key").read_text() == first
    assert (tmp_path / "secret_key").stat().st_mode & 0o777 == 0o600


def test_addresses_are_withdrawn_once(tmp_path: Path) -> None:
    folder = DataFolder(tmp_path)
    folder.tell_servers({"broker_url": "redis://:secret@127.0.0.1:1/0"})

    withdrawn = [folder.forget_servers(), folder.forget_servers()]

    assert withdrawn == [True, False]


def test_a_reset_removes_the_folder_and_everything_in_it(tmp_path: Path) -> None:
    folder = DataFolder(tmp_path / "data")
    with folder.held():
        folder.keep_secret_key()

    folder.remove()
    folder.remove()

    assert not folder.path.exists()


def test_a_reset_leaves_a_folder_in_use(tmp_path: Path) -> None:
    folder = DataFolder(tmp_path / "data")

    with folder.held(), pytest.raises(FolderInUse):
        folder.remove()

    assert folder.path.exists()


def test_a_reset_leaves_what_hansa_did_not_make(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("nine years of work")

    with pytest.raises(NotADataFolder):
        DataFolder(tmp_path).remove()

    assert (tmp_path / "thesis.tex").exists()

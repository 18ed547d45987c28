"""SQLite's cache is refused on a network: what tables of mounts say of a path, and what a person is told."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.command import ROOT, environment, refused, succeeded
from tests.command import run as run_app
from tests.llm.fault_server import FaultServer, permutation
from valueflow.llm import Completion, cache_command
from valueflow.llm.cache import CompletionCache, cache_file, network_file_system
from valueflow.run import InputError

TABLE = r"""
overlay / overlay rw,relatime,lowerdir=/a,upperdir=/b 0 0
proc /proc proc rw,nosuid 0 0
tmpfs /tmp tmpfs rw 0 0
systemd-1 /home autofs rw,fd=29 0 0
server:/export/home /home nfs4 rw,vers=4.2,addr=10.0.0.1 0 0
/dev/sda1 /home/local ext4 rw 0 0
//nas/share /mnt/a\040b cifs rw 0 0
10.0.0.2@tcp:/scratch /scratch lustre rw,flock 0 0
me@host:/data /data fuse.sshfs rw,user_id=0 0 0
gpfs0 /gpfs gpfs rw 0 0
none /run/host 9p rw,dirsync,access=client,trans=virtio 0 0
10.0.0.3 /diod 9p rw,access=any,msize=65536,trans=tcp,port=564 0 0
share /vm virtiofs rw 0 0
/dev/sdb1 /stacked ext4 rw 0 0
server:/x /stacked nfs rw 0 0
server:/y /covered nfs rw 0 0
/dev/sdc1 /covered xfs rw 0 0
broken line
"""


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "mounts"
    path.write_text(TABLE)
    return path


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/srv/me/.cache/valueflow", None),
        ("/tmp/cache", None),
        ("/home/someone/.cache/valueflow/llm/completions.sqlite", "nfs4"),
        ("/home", "nfs4"),
        ("/homework/cache", None),
        ("/home/local/cache", None),
        ("/home/locals/cache", "nfs4"),
        ("/mnt/a b/cache", "cifs"),
        ("/scratch/me", "lustre"),
        ("/data/x", "fuse.sshfs"),
        ("/gpfs/x", "gpfs"),
        ("/run/host/x", None),
        ("/diod/x", "9p"),
        ("/vm/x", None),
        ("/stacked/x", "nfs"),
        ("/covered/x", None),
    ],
)
def test_the_longest_mount_point_decides_and_of_two_the_later(path: str, kind: str | None, table: Path) -> None:
    assert network_file_system(Path(path), table) == kind


@pytest.mark.parametrize(
    "root", ["overlay", "9p rw,trans=fd", "virtiofs", "btrfs", "zfs", "fuse.fuse-overlayfs", "tmpfs"]
)
def test_what_a_container_stands_on_is_no_network(root: str, tmp_path: Path) -> None:
    kind, _, options = root.partition(" ")
    (tmp_path / "mounts").write_text(f"none / {kind} {options or 'rw'} 0 0\n")
    assert network_file_system(Path("/srv/me/.cache"), tmp_path / "mounts") is None


def test_links_are_followed(table: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("/scratch/me")
    assert network_file_system(tmp_path / "link" / "cache", table) == "lustre"


def test_where_nothing_is_told_nothing_is_refused(tmp_path: Path) -> None:
    assert network_file_system(tmp_path, tmp_path / "no such table") is None
    (tmp_path / "mounts").write_text("")
    assert network_file_system(tmp_path, tmp_path / "mounts") is None


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux tells of its mounts this way")
@pytest.mark.parametrize("path", [Path("/proc/self"), Path("/dev/shm"), Path("/sys")])
def test_this_machine_s_own_folders_are_no_network(path: Path) -> None:
    kind = subprocess.run(["stat", "-f", "-c", "%T", path], capture_output=True, text=True, check=True).stdout.strip()
    assert kind not in ("nfs", "smb2", "cifs")
    assert network_file_system(path) is None


@pytest.fixture
def on_nfs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Have the folder of the cache look as if it were on NFS."""
    folder = tmp_path / "home"
    mounts = tmp_path / "mounts"
    mounts.write_text(f"/dev/sda1 / ext4 rw 0 0\nserver:/home {os.path.realpath(folder)} nfs4 rw 0 0\n")
    monkeypatch.setenv("VALUEFLOW_CACHE", str(folder))
    monkeypatch.setattr("valueflow.llm.cache.mounts.MOUNTS", mounts)
    return folder


@pytest.mark.parametrize("read_only", [False, True], ids=["on", "read"])
def test_a_cache_on_a_network_is_refused_with_what_to_do(on_nfs: Path, read_only: bool) -> None:
    with CompletionCache(cache_file(), read_only=read_only) as cache, pytest.raises(InputError) as told:
        cache.get(["a"])
    for part in (str(on_nfs), "nfs4", "VALUEFLOW_CACHE to a folder on a disk of this machine", "VALUEFLOW_CACHE_URL"):
        assert part in str(told.value)
    assert "\n" not in str(told.value)
    assert not on_nfs.exists()


def test_the_command_refuses_it_too_but_can_delete_it(on_nfs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cache_file().parent.mkdir(parents=True)
    cache_file().write_bytes(b"kept by an earlier version")
    assert cache_command([]) == 2
    told = capsys.readouterr()
    assert told.out == ""
    assert len(told.err.splitlines()) == 1
    assert "nfs4" in told.err
    assert cache_command(["clear"]) == 0
    assert not cache_file().exists()


@pytest.mark.slow
def test_a_run_is_refused_before_any_model_is_asked(on_nfs: Path, tmp_path: Path) -> None:
    work = tmp_path / "work"
    work.mkdir()
    with FaultServer(permutation) as models:
        asked = ("value=benevolence", "intensity=2", "judge=llm", "llm=openai", "llm.model=fault", "m=1")
        env = environment(on_nfs)
        done = run_app(ROOT / "evaluate.py", *asked, f"llm.base_url={models.url}", folder=work, env=env)
        refused(done, work, "nfs4", "VALUEFLOW_CACHE_URL", "cache=off")
        assert models.calls == []
        succeeded(
            run_app(ROOT / "evaluate.py", *asked, f"llm.base_url={models.url}", "cache=off", folder=work, env=env)
        )
    assert not cache_file().parent.exists()


def test_the_same_cache_beside_the_network_is_used(on_nfs: Path, tmp_path: Path) -> None:
    with CompletionCache(tmp_path / "local" / "c.sqlite") as cache:
        cache.put([("a", Completion("x"))], "m")
        assert cache.get(["a"]) == {"a": Completion("x")}

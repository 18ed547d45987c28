"""Which folders are on a network, as Linux tells of its mounts; other systems do not tell."""

import os
import re
from pathlib import Path

MOUNTS = Path("/proc/self/mounts")
"""A line per mount: device, mount point, kind of file system, options, two numbers."""

_ACROSS_A_NETWORK = frozenset(
    {
        *("nfs", "nfs3", "nfs4", "cifs", "smb2", "smb3", "smbfs", "ncpfs", "afs", "coda", "davfs"),
        *("lustre", "gpfs", "ceph", "beegfs", "glusterfs", "panfs", "wekafs", "orangefs", "pvfs2", "ocfs2", "gfs2"),
        *("fuse.sshfs", "fuse.glusterfs", "fuse.ceph", "fuse.ceph-fuse", "fuse.juicefs", "fuse.mfs", "fuse.moosefs"),
        *("fuse.lizardfs", "fuse.beegfs", "fuse.dfuse", "fuse.alluxio-fuse", "fuse.davfs", "fuse.smbnetfs", "fuse.nfs"),
        *(
            "fuse.s3fs",
            "fuse.mount-s3",
            "fuse.goofys",
            "fuse.gcsfuse",
            "fuse.blobfuse",
            "fuse.blobfuse2",
            "fuse.rclone",
        ),
    }
)
"""Others are taken to be of this machine: disks, memory, and what containers stand on, such as overlay and virtiofs."""

_REMOTE_TRANSPORTS = ("trans=tcp", "trans=rdma")
"""Of 9p: with others (virtio, fd) it is how a container or a virtual machine sees the disk of its host."""

_ESCAPE = re.compile(rb"\\([0-7]{3})")


def network_file_system(path: Path, mounts: Path | None = None) -> str | None:
    """Return the kind of the network file system that a path is on, or None where it is on none, or nobody can tell.

    Parameters
    ----------
    path
        A file or folder; it need not be there yet.
    mounts
        The table of mounts, in the place of the system's.
    """
    # Links lead elsewhere, and looking at a path has a folder mounted that waits for its first use.
    wanted = os.fsencode(os.path.realpath(path))
    try:
        lines = (mounts or MOUNTS).read_bytes().splitlines()
    except OSError:
        return None
    longest, found = b"", None
    for line in lines:
        fields = line.split(b" ")
        if len(fields) < 4:
            continue
        point = _ESCAPE.sub(lambda code: bytes([int(code[1], 8) & 0xFF]), fields[1])
        inside = wanted == point or wanted.startswith(point.rstrip(b"/") + b"/")
        # Of two mounts at one point the later one is on top.
        if inside and len(point) >= len(longest):
            longest, found = point, (os.fsdecode(fields[2]), os.fsdecode(fields[3]).split(","))
    if found is None:
        return None
    kind, options = found
    is_remote = kind in _ACROSS_A_NETWORK or (kind == "9p" and any(name in options for name in _REMOTE_TRANSPORTS))
    return kind if is_remote else None

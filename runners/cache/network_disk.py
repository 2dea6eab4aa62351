"""File systems that several machines share, on which SQLite's write-ahead log loses data."""

from __future__ import annotations

from pathlib import Path

NETWORK = frozenset(
    {"nfs", "nfs4", "cifs", "smb3", "smbfs", "lustre", "gpfs", "beegfs", "ceph", "9p", "afs", "fuse.sshfs"}
)
MOUNTS = Path("/proc/self/mountinfo")


def network_file_system(folder: Path, mounts: Path = MOUNTS) -> str | None:
    """Return the kind of network file system that a folder is on; None for a local one, and where the system does not say."""
    try:
        lines = mounts.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return None
    place, kind, longest = folder.resolve(), "", -1
    for line in lines:
        before, _, after = line.partition(" - ")
        fields = before.split()
        point = Path(fields[4].replace("\\040", " ")) if len(fields) > 4 else None
        if point is not None and after and place.is_relative_to(point) and len(point.parts) > longest:
            kind, longest = after.split()[0], len(point.parts)
    return kind if kind in NETWORK else None

"""The name of a file system: by the mount table, else by the number that statfs(2) gives. Pure."""

import re
from collections.abc import Mapping
from typing import Final, NamedTuple

from planbalance.path_relation import is_within

# By the type in /proc/self/mountinfo, where people spell it otherwise.
_SPELLED: Final[Mapping[str, str]] = {
    "gpfs": "GPFS",
    "lustre": "Lustre",
    "nfs": "NFS",
    "nfs4": "NFS",
    "beegfs": "BeeGFS",
    "ceph": "CephFS",
    "wekafs": "WekaFS",
    "panfs": "PanFS",
    "pvfs2": "OrangeFS",
    "cifs": "SMB",
    "smb3": "SMB",
    "9p": "9P",
    "virtiofs": "virtiofs",
    "afs": "AFS",
    "gfs2": "GFS2",
    "ocfs2": "OCFS2",
    "overlay": "OverlayFS",
    "xfs": "XFS",
    "zfs": "ZFS",
    "jfs": "JFS",
    "f2fs": "F2FS",
    "vfat": "FAT",
    "exfat": "exFAT",
    "ntfs3": "NTFS",
    "ecryptfs": "eCryptfs",
    "apfs": "APFS",
    "hfs": "HFS+",
    "smbfs": "SMB",
}
# statfs(2), linux/magic.h, and coreutils' stat for those outside the kernel (GPFS, Lustre, BeeGFS, ZFS and others).
_BY_NUMBER: Final[Mapping[int, str]] = {
    0x47504653: "GPFS",
    0x0BD00BD0: "Lustre",
    0x6969: "NFS",
    0x19830326: "BeeGFS",
    0x00C36400: "CephFS",
    0xAAD7AAEA: "PanFS",
    0x20030528: "OrangeFS",
    0xFF534D42: "SMB",
    0xFE534D42: "SMB",
    0x517B: "SMB",
    0x01021997: "9P",
    0x5346414F: "AFS",
    0x6B414653: "AFS",
    0x01161970: "GFS2",
    0x7461636F: "OCFS2",
    0x794C7630: "OverlayFS",
    0x01021994: "tmpfs",
    0x858458F6: "ramfs",
    0xEF53: "ext4",  # ext2 and ext3 have it too: the mount table tells them apart
    0x58465342: "XFS",
    0x9123683E: "btrfs",
    0xCA451A4E: "bcachefs",
    0x2FC12FC1: "ZFS",
    0x3153464A: "JFS",
    0xF2F52010: "F2FS",
    0x4D44: "FAT",
    0x2011BAB0: "exFAT",
    0x5346544E: "NTFS",
    0x7366746E: "NTFS",
    0x65735546: "FUSE",
    0xF15F: "eCryptfs",
    0x73717368: "squashfs",
    0x9660: "ISO 9660",
    0x15013346: "UDF",
    0x786F4256: "VirtualBox shared folder",
    0xBACBACBC: "VMware shared folder",
}


class Mount(NamedTuple):
    """One line of the mount table."""

    point: str
    kind: str  # such as `ext4`, `nfs4`, `fuse.sshfs`


class FileSystem(NamedTuple):
    """The name of a file system, and where it is mounted; `""` where that is not known."""

    name: str
    kind: str
    mount_point: str
    number: int | None  # what statfs(2) gives


def file_system(path: str, mountinfo: str, number: int | None) -> FileSystem:
    """Return what the file system of an absolute path, links resolved, is called.

    Args:
        path: the path.
        mountinfo: the text of /proc/self/mountinfo; `""` where there is none.
        number: `f_type` of statfs(2); None where it is not known.
    """
    mount = _mount_of(path, mountinfo)
    by_number = "" if number is None else _BY_NUMBER.get(number & 0xFFFFFFFF, "")
    if mount is None:
        return FileSystem(by_number or "unknown", "", "", number)
    return FileSystem(_spelled(mount.kind, by_number), mount.kind, mount.point, number)


def _spelled(kind: str, by_number: str) -> str:
    family, dot, inner = kind.partition(".")
    if family in ("fuse", "fuseblk"):
        return f"FUSE ({inner})" if dot else "FUSE"
    return _SPELLED.get(kind) or kind or by_number or "unknown"


def _mount_of(path: str, mountinfo: str) -> Mount | None:
    """Return the mount that holds the path: the longest mount point above it, of equal ones the last."""
    found: Mount | None = None
    for line in mountinfo.splitlines():
        fields, separator, rest = line.partition(" - ")
        columns = fields.split(" ")
        if not separator or len(columns) < 5:
            continue
        mount = Mount(_plain(columns[4]), rest.split(" ")[0])
        if is_within(path, mount.point) and (found is None or len(mount.point) >= len(found.point)):
            found = mount
    return found


def _plain(escaped: str) -> str:
    r"""Return a mount point as it is: blanks and the like are written as `\040` (proc_pid_mountinfo(5))."""
    return re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), escaped)

"""How much memory a server of ours may take: the machine's, and what a container leaves of it."""

import mmap
import os
from collections.abc import Iterator
from pathlib import Path

GROUPS = Path("/sys/fs/cgroup")
OWN_GROUPS = Path("/proc/self/cgroup")


def memory_bytes(groups: Path = GROUPS, own_groups: Path = OWN_GROUPS) -> int:
    """Return the machine's memory, or the least that one of our control groups allows.

    Args:
        groups: Where Linux shows control groups, of either version.
        own_groups: The file that says which are ours; other systems have none.
    """
    machine = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return min([machine, *_limits(groups, own_groups)])


def can_share(size: int) -> bool:
    """Say whether a program could map so many bytes to share them with its children.

    Nothing is touched, so nothing is taken. What stands in the way is a limit on address space
    (`ulimit -v`) or a kernel that promises no more memory than it has.
    """
    try:
        mmap.mmap(-1, size).close()
    except (OSError, ValueError):
        return False
    return True


def _limits(groups: Path, own_groups: Path) -> Iterator[int]:
    """Yield what each control group around us allows, from our own outwards."""
    if not own_groups.is_file():
        return
    for line in own_groups.read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers == "":
            top, name = groups, "memory.max"
        elif "memory" in controllers.split(","):
            top, name = groups / "memory", "memory.limit_in_bytes"
        else:
            continue
        group = top / path.lstrip("/")
        # Inside a container the path may be one of the host's: what is shown is then at the top.
        for place in [group, *group.parents]:
            file = place / name
            # `max` where there is no limit; a very great number in version 1.
            if file.is_file() and (allowed := file.read_text().strip()).isdigit():
                yield int(allowed)
            if place == top:
                break

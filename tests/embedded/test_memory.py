"""How much memory we may use, as Linux tells it in its two ways."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from marketplace.embedded.memory import can_share, memory_bytes
from tests.embedded.instances import ROOT

MACHINE = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
LITTLE = 2**20
UNLIMITED_IN_VERSION_1 = 9223372036854771712


@pytest.mark.parametrize(
    ("own", "limits", "expected"),
    [
        ("0::/\n", {}, MACHINE),
        ("0::/\n", {"memory.max": "max"}, MACHINE),
        ("0::/\n", {"memory.max": f"{LITTLE}"}, LITTLE),
        ("0::/a/b\n", {"a/b/memory.max": f"{LITTLE}", "a/memory.max": "max"}, LITTLE),
        ("0::/a/b\n", {"a/b/memory.max": "max", "a/memory.max": f"{LITTLE}"}, LITTLE),
        ("0::/a\n", {"a/memory.max": f"{3 * LITTLE}", "memory.max": f"{LITTLE}"}, LITTLE),
        ("0::/a\n", {"b/memory.max": f"{LITTLE}"}, MACHINE),
        # Inside a container, which shows its own group at the top, under the host's name.
        ("0::/../host/it\n", {"memory.max": f"{LITTLE}"}, LITTLE),
        (
            "9:cpu:/a\n4:hugetlb,memory:/a\n0::/\n",
            {"memory/a/memory.limit_in_bytes": f"{LITTLE}"},
            LITTLE,
        ),
        (
            "4:memory:/docker/it\n",
            {"memory/memory.limit_in_bytes": f"{UNLIMITED_IN_VERSION_1}"},
            MACHINE,
        ),
        ("4:memory:/docker/it\n", {"memory/memory.limit_in_bytes": f"{LITTLE}"}, LITTLE),
        ("0::/\n", {"memory.max": f"{2 * MACHINE}"}, MACHINE),
    ],
)
def test_what_we_may_use_is_the_least_that_is_allowed(
    tmp_path: Path, own: str, limits: dict[str, str], expected: int
) -> None:
    own_groups, groups = tmp_path / "own", tmp_path / "groups"
    own_groups.write_text(own)
    for place, text in limits.items():
        (groups / place).parent.mkdir(parents=True, exist_ok=True)
        (groups / place).write_text(f"{text}\n")

    assert memory_bytes(groups, own_groups) == expected


def test_a_system_without_control_groups_has_its_memory(tmp_path: Path) -> None:
    assert memory_bytes(tmp_path, tmp_path / "own") == MACHINE


def test_what_a_limit_on_addresses_forbids_cannot_be_shared() -> None:
    program = (
        "from marketplace.embedded.memory import can_share;"
        "print(can_share(2**20), can_share(2**40))"
    )
    limited = ["bash", "-c", 'ulimit -v 1000000 && exec "$@"', "bash"]
    tried = subprocess.run(
        [*limited, sys.executable, "-c", program],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )

    assert tried.stdout.split() == ["True", "False"]
    assert can_share(2**20)

"""What a bench leaves behind: a table to read, JSON to compare, one SVG to look at."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from html import escape
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the result.

    Attributes:
        work: What was done.
        clients: How many did it at a time.
        median: The median of the rounds, in *unit*.
        unit: What *median* counts.
        against: What the ratio compares with.
        ratio: The median over the rounds of this to that in the same round.
        floor: The least ratio that is good enough; None where there is no promise.
        ok: False where the ratio is under its floor.
    """

    work: str
    clients: int
    median: float
    unit: str
    against: str
    ratio: float
    floor: float | None

    @property
    def ok(self) -> bool:
        return self.floor is None or self.ratio >= self.floor


def table(rows: Sequence[Row]) -> str:
    """Return the rows as aligned text."""
    heads = ("work", "clients", "median", "", "ratio", "floor", "against", "")
    lines = [
        (
            row.work,
            str(row.clients),
            f"{row.median:,.0f}",
            row.unit,
            f"{row.ratio:.2f}",
            "" if row.floor is None else f"{row.floor:.2f}",
            row.against,
            "" if row.floor is None else ("ok" if row.ok else "UNDER"),
        )
        for row in rows
    ]
    widths = [max(len(line[column]) for line in [heads, *lines]) for column in range(len(heads))]
    right = {1, 2, 4, 5}
    return "\n".join(
        "  ".join(
            cell.rjust(width) if column in right else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in [heads, *lines]
    )


def write_json(rows: Sequence[Row], path: Path) -> None:
    """Write the rows as a list of objects."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps([{**asdict(row), "ok": row.ok} for row in rows], indent=2) + "\n")


WIDTH, LABELS, LINE = 900, 430, 30


def write_svg(rows: Sequence[Row], path: Path, *, title: str) -> None:
    """Draw the ratios as bars, with a mark at each floor."""
    longest = max(max(row.ratio, row.floor or 0) for row in rows)
    scale = (WIDTH - LABELS - 110) / longest
    drawn = []
    for place, row in enumerate(rows):
        y = 56 + place * LINE
        width = row.ratio * scale
        label = escape(f"{row.work} ({row.clients})")
        drawn.append(
            f'<text x="{LABELS - 12}" y="{y + 14}" text-anchor="end">{label}</text>'
            f'<rect class="{"good" if row.ok else "bad"}" x="{LABELS}" y="{y}" rx="2"'
            f' width="{max(width, 1):.1f}" height="18"/>'
            f'<text x="{LABELS + max(width, (row.floor or 0) * scale) + 8:.1f}" y="{y + 14}">'
            f"{row.ratio:.2f}</text>"
        )
        if row.floor is not None:
            x = LABELS + row.floor * scale
            drawn.append(f'<path class="floor" d="M{x:.1f} {y - 4}v26"/>')
    height = 56 + len(rows) * LINE + 16
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img"'
        f' aria-label="{escape(title)}">'
        "<style>svg{font:13px system-ui,sans-serif;background:#fff}text{fill:#222}"
        ".good{fill:#2a7f62}.bad{fill:#c0392b}.floor{stroke:#222;stroke-width:2}</style>"
        f'<text x="16" y="28" style="font-size:16px">{escape(title)}</text>'
        + "".join(drawn)
        + "</svg>\n"
    )

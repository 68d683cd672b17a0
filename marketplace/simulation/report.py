"""How a simulated market is told: as aligned tables, or as one JSON object."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict

from credits import amounts
from marketplace.simulation.figures import AMOUNTS, COUNTS, Figures
from marketplace.simulation.market import Checked, Played

# Two tables that fit a terminal: who has what, and what became of work.
CREDITS_COLUMNS = {
    "operators": "operators",
    "granted": "granted",
    "gained": "gained",
    "lost": "lost",
    "fees": "fees paid",
    "standing": "as worker",
    "poster_standing": "as poster",
}
WORK_COLUMNS = {
    "accepted": "accepted",
    "cancelled": "cancelled",
    "expired": "expired",
    "running": "running",
    "paid": "paid",
    "unpaid": "unpaid",
    "left": "left",
    "kept": "kept unpaid",
    "disputes": "disputes",
    "votes": "votes",
}
PLACES = 2
MARGIN = 2
MOST_REFUSALS = 8


def as_text(played: Played, *, with_each: bool = False) -> str:
    """Return what is printed at the end: speed, tables, expectations, and the audit."""
    rows: dict[str, Figures] = {}
    for group, summed in played.groups.items():
        rows[group] = summed
        if with_each:
            rows |= {f"  {handle}": one for handle, one in played.operators[group].items()}
    rows["all"] = played.everybody
    lines = [
        f"{played.scenario.title} (seed {played.seed})",
        *([played.scenario.about] if played.scenario.about else []),
        "",
        _speed(played),
        "",
        *_table("Credits, and standing", CREDITS_COLUMNS, rows),
        "",
        *_table("Tasks posted; work done; disputes opened, votes cast", WORK_COLUMNS, rows),
        "",
        *_refusals(played.refused),
        *(f"  {_sentence(one)}" for one in played.checked),
    ]
    if not played.checked and played.scenario.expectations:
        lines.append(
            f"  Nothing was checked: the file says what to expect after"
            f" {played.scenario.days} days."
        )
    lines += ["", *(f"WRONG  {finding}" for finding in played.findings)]
    if not played.findings:
        lines.append("The books are balanced, standing is what history says, nothing is overdue.")
    return "\n".join(lines)


def _speed(played: Played) -> str:
    moves, seconds = sum(played.moves.values()), max(played.seconds, 0.001)
    return (
        f"{played.days} days of market time in {played.seconds:.1f} s:"
        f" {played.days / seconds:.1f} days and {moves / seconds:.0f} moves a second;"
        f" {moves} moves, {sum(played.refused.values())} refused"
    )


def as_json(played: Played) -> dict[str, object]:
    """Return the same and more, for programs. Amounts are credits as text."""
    return {
        "scenario": played.scenario.name,
        "seed": played.seed,
        "days": played.days,
        "seconds": round(played.seconds, 3),
        "moves": dict(sorted(played.moves.items())),
        "refused": dict(sorted(played.refused.items())),
        "groups": {
            group: {
                **_members(summed),
                "each": {handle: _members(one) for handle, one in played.operators[group].items()},
            }
            for group, summed in played.groups.items()
        },
        "all": _members(played.everybody),
        "expected": [
            {
                **asdict(one.expected),
                "value": _value(one.expected.figure, one.expected.value),
                "found": _value(one.expected.figure, one.found),
                "holds": one.holds,
            }
            for one in played.checked
        ],
        "findings": list(played.findings),
        "right": played.is_right,
    }


def _members(figures: Figures) -> dict[str, object]:
    return {name: _value(name, getattr(figures, name)) for name in (*AMOUNTS, *COUNTS)}


def _value(figure: str, found: int) -> str | int:
    return amounts.format(found) if figure in AMOUNTS else found


def _cell(figure: str, found: int) -> str:
    if found == 0:
        return "·"
    return f"{found / amounts.MICRO:.{PLACES}f}" if figure in AMOUNTS else str(found)


def _table(title: str, columns: Mapping[str, str], rows: Mapping[str, Figures]) -> list[str]:
    cells = [[title, *columns.values()]]
    cells += [
        [name, *(_cell(figure, getattr(row, figure)) for figure in columns)]
        for name, row in rows.items()
    ]
    # The title may be longer than every name: it has a line of its own.
    cells[0][0] = ""
    widths = [max(len(row[index]) for row in cells) for index in range(len(cells[0]))]
    return [title, *(_line(row, widths) for row in cells)]


def _line(row: Sequence[str], widths: Sequence[int]) -> str:
    first, *others = zip(row, widths, strict=True)
    aligned = (cell.rjust(width + MARGIN) for cell, width in others)
    return f"  {first[0].ljust(first[1])}{''.join(aligned)}".rstrip()


def _refusals(refused: Mapping[str, int]) -> Iterable[str]:
    """Yield what the rules refused most often, so that a scenario that does nothing shows why."""
    if not refused:
        return
    yield "Refused most often"
    most = sorted(refused.items(), key=lambda one: (-one[1], one[0]))[:MOST_REFUSALS]
    for what, number in most:
        yield f"  {what}: {number}"
    yield ""


def _sentence(one: Checked) -> str:
    expected = one.expected
    whose = expected.group or "all"
    bound = expected.bound.replace("_", " ")
    value, found = _value(expected.figure, expected.value), _value(expected.figure, one.found)
    says = f"{whose}: {expected.figure.replace('_', ' ')} {bound} {value}"
    return f"as expected  {says}" if one.holds else f"NOT AS EXPECTED  {says}, but it is {found}"

"""Amounts, times and other people's texts, as pages show them."""

import json
from collections.abc import Sequence

from django import template
from django.utils.safestring import SafeString

from credits import amounts
from marketplace.foundation import ids
from marketplace.tasks.models import Mode, Task
from marketplace.tasks.states import TaskState
from marketplace.web import markdown as md

register = template.Library()

_SPANS = ((86_400, "day"), (3_600, "hour"), (60, "minute"), (1, "second"))


@register.filter
def credits(micro: int) -> str:  # noqa: A001 - the word of the market; nothing here exits
    """Return micro-credits as credits: `0.1`."""
    return amounts.format(micro)


@register.filter
def in_credits(micro: int) -> str:
    """Return micro-credits with their unit: `1 credit`, `0.5 credits`."""
    return f"{amounts.format(micro)} credit{'s' * (micro != amounts.MICRO)}"


@register.filter
def markdown(text: str) -> SafeString:
    """Return other people's Markdown, rendered and sanitised."""
    return md.render(text)


@register.filter
def percent(bps: int) -> str:
    """Return basis points as per cent: `5 %`."""
    return f"{bps / 100:g} %"


@register.filter
def rate(share: float | None) -> str:
    """Return a share of one as per cent, or `none` where there was nothing to share."""
    return "none" if share is None else f"{share * 100:.0f} %"


# What an open task waits for, by its mode; a direct one is open when it was not taken.
_OPEN = {
    Mode.CLAIM: "open to whoever claims it first",
    Mode.BID: "open for bids",
    Mode.CONTEST: "contest, open for entries",
    Mode.DIRECT: "open to whoever claims it first",
}


@register.filter
def situation(task: Task) -> str:
    """Return where a task stands: `open for bids`."""
    if task.state == TaskState.OPEN:
        return _OPEN[Mode(task.mode)]
    if task.state == TaskState.OFFERED and task.offered_to is not None:
        return f"offered to {task.offered_to.handle}"
    if task.state == TaskState.SUBMITTED and task.is_contest:
        return "contest, the poster picks an entry"
    return task.state


@register.filter
def span(seconds: int) -> str:
    """Return a length of time in the largest unit that says it exactly: `24 hours`, `3 days`."""
    for length, unit in _SPANS:
        if seconds % length == 0:
            number = seconds // length
            return f"{number} {unit}{'s' * (number != 1)}"
    raise AssertionError("every number of seconds is a number of seconds")


@register.filter
def at(entries: Sequence[object], index: int) -> object:
    """Return one of *entries*; an empty string where there is none any more."""
    return entries[index] if 0 <= index < len(entries) else ""


@register.filter
def pretty_json(value: object) -> str:
    """Return a value as indented JSON."""
    return json.dumps(value, indent=2, ensure_ascii=False)


@register.filter
def public_id(row: object, prefix: str) -> str:
    """Return the id of a row as the API shows it."""
    return ids.encode(prefix, row.pk)  # type: ignore[attr-defined] # rows of ours

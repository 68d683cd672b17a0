"""Workflows as a stranger might write them, drawn at random."""

from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy

from assets.workflows import WHOLE_BPS, Input, NeededAsset, Step, Workflow

# Whatever a file may hold, line breaks, quotes and emoji among it; no NUL, no half of a pair.
TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=40)
VISIBLE = TEXTS.filter(str.strip)
NAMES = st.from_regex(r"[a-z0-9]([a-z0-9-]{0,8}[a-z0-9])?", fullmatch=True)
KEYS = st.from_regex(r"[a-z0-9][a-z0-9_-]{0,10}", fullmatch=True)
RANGES = st.sampled_from(["*", "^1.2", ">=1 <3", "1.0.0", "~0.3.1", "^1.0 || ^2.0"])
ASSETS = st.builds(
    NeededAsset, st.builds("{}/{}".format, st.sampled_from(["ada", "bo"]), NAMES), RANGES
)
CHECKS = st.just(
    {"name": "rows", "type": "json_schema", "config": {"schema": {"type": "object"}}}
) | st.just({"name": "sum", "type": "exact", "required": False, "config": {"expected": 3}})


@st.composite
def shares(draw: DrawFn, count: int) -> list[int]:
    """Draw basis points, one at least for each of *count* steps, that make the whole."""
    cuts = draw(
        st.lists(
            st.integers(1, WHOLE_BPS - 1), min_size=count - 1, max_size=count - 1, unique=True
        ).map(sorted)
    )
    return [to - since for since, to in zip([0, *cuts], [*cuts, WHOLE_BPS], strict=True)]


@st.composite
def workflows(draw: DrawFn, most_steps: int = 20) -> Workflow:
    """Draw a workflow that `parse` takes."""
    keys = draw(st.lists(KEYS, min_size=1, max_size=most_steps, unique=True))
    parts = draw(shares(len(keys)))
    # Steps wait for those before them in some order, which need not be the order of the file.
    order = draw(st.permutations(keys))
    steps = []
    for key, share_bps in zip(keys, parts, strict=True):
        before = order[: order.index(key)]
        waits = draw(_some_of(before, most=4))
        steps.append(
            Step(
                key=key,
                title=draw(VISIBLE),
                description=draw(VISIBLE),
                share_bps=share_bps,
                depends_on=tuple(waits),
                inputs=tuple(
                    Input(f"{one}.csv", "As CSV.", one) for one in draw(_some_of(waits, most=2))
                ),
                assets=tuple(
                    draw(st.lists(ASSETS, max_size=2, unique_by=lambda needed: needed.asset))
                ),
                mode=draw(st.sampled_from(["claim", "bid"])),
                verification=tuple(draw(st.lists(CHECKS, max_size=1))),
                requirements=tuple(draw(st.lists(VISIBLE, max_size=2))),
                tags=tuple(draw(st.lists(VISIBLE, max_size=2))),
                delegation_bps=draw(st.integers(0, WHOLE_BPS)),
            )
        )
    return Workflow(draw(VISIBLE), draw(st.just("") | VISIBLE), tuple(steps))


def _some_of(of: list[str] | tuple[str, ...], *, most: int) -> SearchStrategy[list[str]]:
    if not of:
        return st.just([])
    return st.lists(st.sampled_from(of), max_size=most, unique=True)

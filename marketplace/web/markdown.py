"""Other people's Markdown as HTML that does nothing: no raw HTML, no images, no scripts.

Two layers, each enough by itself: the parser knows no HTML, and what it wrote is sanitised.
"""

import nh3
from django.utils.safestring import SafeString, mark_safe
from frontmatter.default_handlers import YAMLHandler
from markdown_it import MarkdownIt
from markdown_it.token import Token

# An image would call home from whoever reads; its link stays, and nobody follows it unasked.
_parser = MarkdownIt("commonmark", {"html": False}).enable("table").disable("image")
_HEADINGS_BELOW = 2  # a page has one h1 and its sections have h2; a text begins below them
_TAGS = {
    *("p", "br", "hr", "blockquote", "pre", "code", "em", "strong", "a"),
    *("ul", "ol", "li", "table", "thead", "tbody", "tr", "th", "td"),
    *("h3", "h4", "h5", "h6"),
}


def render(text: str) -> SafeString:
    """Return *text* as sanitised HTML; its headings start at h3."""
    tokens = _parser.parse(text)
    for token in tokens:
        if token.type in ("heading_open", "heading_close"):
            token.tag = _lowered(token)
    html = _parser.renderer.render(tokens, _parser.options, {})
    clean = nh3.clean(
        html,
        tags=_TAGS,
        attributes={"a": {"href", "title"}, "ol": {"start"}},
        url_schemes={"http", "https", "mailto"},
        link_rel="nofollow noopener noreferrer ugc",
    )
    return mark_safe(clean)  # noqa: S308 - nh3 made it so


def _lowered(token: Token) -> str:
    return f"h{min(6, int(token.tag[1:]) + _HEADINGS_BELOW)}"


def without_front_matter(text: str) -> str:
    """Return the body of a `SKILL.md`: what follows its YAML front matter, where it has one."""
    handler = YAMLHandler()
    if not handler.detect(text):
        return text
    try:
        _, body = handler.split(text)
    except ValueError:  # it never ends, so it is none
        return text
    return str(body)

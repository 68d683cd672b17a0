"""Names of files, made safe."""

import unicodedata


def plain_name(name: str) -> str:
    """Return a file name that is safe to show and to save: no folders, no invisible characters."""
    last = name.replace("\\", "/").rsplit("/", 1)[-1]
    shown = "".join(c for c in last if unicodedata.category(c)[0] != "C").strip(" .")
    return unicodedata.normalize("NFC", shown)[:200] or "file"

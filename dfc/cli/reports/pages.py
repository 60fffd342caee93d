"""The pages of docs/errors, one for each code; the package has them."""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import dfc

_FOLDER = Path(dfc.__file__).resolve().parent / "errors"
_CODE = re.compile(r"[Dd][Ff][0-9]{1,4}")
_WRITTEN = re.compile(r"\W*(?:error|warning|note)?\W*(?:[Dd][Ff])?[\s_-]?([0-9]{1,4})\W*")
_LIKE = re.compile(r"[Dd][Ff][\s_-]?\w{1,6}")
_CODE_NAMES_MAX = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """What there is to say about a code: `text` is Markdown, with its title `# DF101: ...`."""

    code: str
    text: str

    @property
    def title(self) -> str:
        """What the code says, in a few words."""
        return self.text.partition("\n")[0].partition(": ")[2].strip()

    @property
    def summary(self) -> str:
        """The first paragraph, in one line."""
        body = self.text.partition("\n")[2].strip()
        first = body.partition("\n\n")[0]
        return self.title if first.startswith("```") or not first else " ".join(first.split())


def is_code(word: str) -> bool:
    """Whether a word has the form of a code, known or not."""
    return _CODE.fullmatch(word) is not None


def code_of(word: str) -> str | None:
    """The code that a word means, such as `DF203`, `df 203` or `error[DF203]:`; None where it is another."""
    found = _WRITTEN.fullmatch(word)
    if found is not None:
        return f"DF{found[1]}"
    return word.upper() if _LIKE.fullmatch(word) else None


@cache
def page(code: str) -> Page | None:
    """The page of a code; None where there is none."""
    file = _FOLDER / f"{code.upper()}.md"
    if not is_code(code) or not file.is_file():
        return None
    return Page(code=code.upper(), text=file.read_text(encoding="utf-8"))


def codes() -> list[str]:
    """Every code that has a page, in order."""
    return sorted(file.stem for file in _FOLDER.glob("DF*.md"))


def near_codes(code: str) -> list[str]:
    """The codes that are most like one that does not exist: those that begin with it, or look like it."""
    wanted = code.upper().replace("O", "0").replace("I", "1").replace("L", "1")
    longer = [each for each in codes() if each.startswith(wanted)]
    if longer:
        return longer[:_CODE_NAMES_MAX]
    return sorted(difflib.get_close_matches(wanted, codes(), n=_CODE_NAMES_MAX, cutoff=0.6))

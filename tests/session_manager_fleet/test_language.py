"""The project's language: words that the field has a better one for stay out of code, descriptions and docs."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]

# pattern -> what to write. The gap between two words may be a line break in a comment or a string.
GAP = r"[\s#*\"|]+"
REPLACEMENTS = {
    r"mend(?:s|ed|ing)?": "fix",
    rf"(?:give[ns]?|gave|giving){GAP}back": "restore, or return",
    rf"(?:take[ns]?|took|taking){GAP}over": "adopt, or import",
    r"nobody|somebody|whoever": "name the role, or use the passive",
    r"anew": "again",
    rf"by{GAP}the{GAP}clock": "on a schedule",
    rf"as{GAP}(?:it{GAP}is{GAP}|they{GAP}are{GAP})?wanted": "as configured",
    r"transcripts?": "session logs",
    r"doubtful": "indeterminate",
    rf"half{GAP}a{GAP}character": "unpaired surrogate",
}
PATTERNS = {re.compile(rf"\b(?:{words})\b", re.IGNORECASE): instead for words, instead in REPLACEMENTS.items()}
FOLDERS = ("scripts", "lambda_src", "modules", "tools", "examples", "docs", ".github", ".ci")
TEXTS = {".py", ".md", ".tf", ".yml", ".yaml", ".j2", ".js", ".css", ".guard", ".toml", ".hcl", ".tftpl", ""}


def files() -> Iterator[Path]:
    """The files that users and maintainers read; tests are not among them."""
    yield from sorted(path for path in PROJECT.iterdir() if path.is_file() and path.suffix in TEXTS - {""})
    yield PROJECT / "Makefile"
    for folder in FOLDERS:
        for path in sorted((PROJECT / folder).rglob("*")):
            generated = {".terraform", "__pycache__"} & set(path.parts) or ".egg-info" in str(path)
            if path.is_file() and path.suffix in TEXTS and not generated:
                yield path


def hits(path: Path) -> Iterator[str]:
    """Yield `file:line: words (instead)` for each word of the list, and for each docstring that begins with "What"."""
    text = path.read_text(encoding="utf-8")
    name = path.relative_to(PROJECT)
    for pattern, instead in PATTERNS.items():
        for match in pattern.finditer(text):
            line = text.count("\n", 0, match.start()) + 1
            yield f'{name}:{line}: "{" ".join(match[0].split())}" ({instead})'
    if path.suffix == ".py":
        documented = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Module
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, documented) and (ast.get_docstring(node) or "").startswith("What "):
                yield f'{name}:{getattr(node, "lineno", 1)}: docstring begins with "What" (a verb, or the noun)'


def test_the_words_to_lose_are_lost() -> None:
    found = [hit for path in files() for hit in hits(path)]
    assert found == [], "\n".join(["Words to replace:", *found])

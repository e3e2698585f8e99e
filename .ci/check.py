#!/usr/bin/env python3
"""Checks of the repository's text that no compiler makes; `make lint` runs all of them.

    .ci/check.py width       lines of source, scripts and documents are at most 120 columns wide
    .ci/check.py links       relative links of the documents lead to a file, and to a heading of it
    .ci/check.py paths       files and names that the documents mention in code type exist
    .ci/check.py comments    documentation of Rust items says more than one word, and has no code that nothing compiles
    .ci/check.py subjects    subjects of the commits that are not yet in origin/main
    .ci/check.py site        links within the built site; only `make docs` runs this
    .ci/check.py             all of them

`subjects` takes a revision to begin after: `.ci/check.py subjects HEAD~3`. Only the standard library is used. The exit
status is 1 when something was found.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent

WIDTH = 120
# What is wrapped: by the end of the name. SQL migrations are frozen, because a database records their checksums.
WRAPPED = (".rs", ".md", ".py", ".toml", ".js", ".css", ".lua", ".sh", "Makefile")
# Machines write these.
GENERATED = ("Cargo.lock", "docs/measurements/", "crates/guard/counts.toml", "terminal/dist/", "console/dist/")

ARCHITECTURE_LINES = 150

SUBJECT_LENGTH = 72
# The last commit that was made before subjects were checked; only those after it are.
CHECKED_SINCE = "b9ce0cb3^{commit}"
# First words that show a subject to be a statement and not an order. Verbs that end like these are listed below.
NOT_IMPERATIVE = set(
    "a all an and any both each every how it its most no none nothing of one only some that the there these this two "
    "what when where which who whoever whose why".split()
)
ENDS_LIKE_A_STATEMENT = ("ed", "ing", "s")
IMPERATIVE = set(
    "address bring bypass compress discuss embed express feed focus need pass press process ring seed "
    "shed speed spring string wed bias canvas cross dismiss stress suppress witness exceed proceed "
    "succeed guess access assess miss".split()
)


def tracked() -> list[str]:
    """The files of the repository that git knows, without those that are deleted in the work tree."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=REPOSITORY, capture_output=True, text=True, check=True)
    return [name for name in listed.stdout.split("\0") if name and (REPOSITORY / name).is_file()]


def is_generated(name: str) -> bool:
    return name.startswith(GENERATED)


# Width ------------------------------------------------------------------------------------------------------------


def too_wide(name: str, text: str) -> Iterator[int]:
    """The numbers of the lines of a file that are too wide and could be wrapped."""
    is_code = False
    for number, line in enumerate(text.splitlines(), start=1):
        if name.endswith(".md"):
            if line.lstrip().startswith("```"):
                is_code = not is_code
            # Neither rows of tables, nor commands to paste, nor a single word can be wrapped.
            is_exempt = is_code or line.startswith("|") or line.startswith("[") or " " not in line.strip("-* ")
        elif name.endswith(".rs"):
            # rustfmt lays out code as far as it can; comments are wrapped by hand. Rows of tables and drawings are not.
            is_exempt = is_code or not re.match(r"\s*//", line) or "//! |" in line
            if re.match(r"\s*//[/!] ```", line):
                is_code = not is_code
        elif name.endswith("Makefile"):
            # A target's help is one line.
            is_exempt = " ## " in line
        elif name.endswith(".toml"):
            # A list of features, or of targets.
            is_exempt = not line.startswith("#")
        else:
            is_exempt = "://" in line
        if len(line) > WIDTH and not is_exempt:
            yield number


def check_width() -> Iterator[str]:
    for name in tracked():
        if name.endswith(WRAPPED) and not is_generated(name):
            text = (REPOSITORY / name).read_text(errors="replace")
            for number in too_wide(name, text):
                yield f"{name}:{number}: wider than {WIDTH} columns; wrap it"


# Links ------------------------------------------------------------------------------------------------------------


def without_code(text: str) -> str:
    """A document without its code, in which brackets are no links."""
    text = re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)
    return re.sub(r"`[^`\n]*`", lambda code: re.sub(r"[\[\]()#]", "", code.group(0)), text)


def anchors(text: str) -> set[str]:
    """The anchors of a document's headings, as GitHub and mdBook make them."""
    made: set[str] = set()
    for heading in re.findall(r"^#{1,6} +(.+?) *#*$", re.sub(r"^```.*?^```", "", text, flags=re.M | re.S), re.M):
        plain = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", heading)
        made.add(re.sub(r"[^\w\- ]", "", plain.lower()).replace(" ", "-"))
    return made


def broken_links(name: str, text: str) -> Iterator[str]:
    """The links of a document that lead nowhere."""
    # The table of contents of the site names chapters by their place in the repository.
    folder = REPOSITORY if name == "docs/SUMMARY.md" else (REPOSITORY / name).parent
    for target in re.findall(r"\]\(([^)\s]+)\)", without_code(text)):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        found = folder / path if path else REPOSITORY / name
        if not found.exists():
            yield f"{target} does not exist"
        elif anchor and found.suffix == ".md" and anchor not in anchors(found.read_text()):
            yield f"{target}: the document has no such heading"


def check_links() -> Iterator[str]:
    documents = [name for name in tracked() if name.endswith(".md")]
    for name in documents:
        for broken in broken_links(name, (REPOSITORY / name).read_text()):
            yield f"{name}: {broken}"
    chapters = (REPOSITORY / "docs/SUMMARY.md").read_text()
    for name in documents:
        if name.startswith("docs/") and name != "docs/SUMMARY.md" and f"({name})" not in chapters:
            yield f"{name}: not a chapter of docs/SUMMARY.md"


# Paths and names --------------------------------------------------------------------------------------------------

# These documents say where in the code something is.
MAPS = ("ARCHITECTURE.md", "CONTRIBUTING.md", "README.md", "SECURITY.md", "bench/", "docs/")
# Files that are named although a clean checkout does not have them.
MADE_LATER = ("target/",)


def mentioned(text: str) -> Iterator[tuple[str, str | None]]:
    """Files or folders in code type, each with the name that stands behind it in code type, if one does.

    A name belongs to a file when nothing but a comma or a colon stands between: `crates/x/src/a.rs`, `f` or
    `crates/x/src/a.rs`: `f`. In a table the next cell may hold it.
    """
    text = re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)
    path = r"`((?:crates|docs|tests|web|bench|\.ci)/[\w./\-]+)`"
    for match in re.finditer(path + r"(?:(?:,|:)\s+`([\w:]+)`|\s*\|\s*`([\w:]+)`)?", text):
        yield match.group(1), match.group(2) or match.group(3)


def is_defined(name: str, source: str) -> bool:
    """Whether a source file defines a name; `Type::method` is defined where both are."""
    keywords = "fn|struct|enum|trait|type|const|static|mod|macro_rules!|def|function|class"

    def is_there(part: str) -> bool:
        item = rf"\b(?:{keywords})\s+{re.escape(part)}\b"
        block = rf"^impl\b[^{{]*\b{re.escape(part)}\b"
        variant = rf"^    {re.escape(part)}\b\s*[,({{]" if part[0].isupper() else r"(?!)"
        return bool(re.search(f"{item}|{block}|{variant}", source, re.MULTILINE))

    return all(is_there(part) for part in name.split("::"))


def wrong_mentions(text: str) -> Iterator[str]:
    """What a document says about the code that is not so."""
    for path, name in mentioned(text):
        found = REPOSITORY / path
        if path.startswith(MADE_LATER):
            continue
        if not found.exists():
            yield f"`{path}` does not exist"
        elif name and found.is_file() and not is_defined(name, found.read_text()):
            yield f"`{path}` does not define `{name}`"


def check_paths() -> Iterator[str]:
    for name in tracked():
        if name.endswith(".md") and name.startswith(MAPS):
            for wrong in wrong_mentions((REPOSITORY / name).read_text()):
                yield f"{name}: {wrong}"
    lines = len((REPOSITORY / "ARCHITECTURE.md").read_text().splitlines())
    if lines > ARCHITECTURE_LINES:
        yield f"ARCHITECTURE.md has {lines} lines, at most {ARCHITECTURE_LINES} are allowed; use docs/internals/"


# Comments ---------------------------------------------------------------------------------------------------------


def one_word_comments(text: str) -> Iterator[int]:
    """The numbers of the lines that document an item with a single word."""
    lines = text.splitlines()
    is_comment = [line.lstrip().startswith("///") for line in lines]
    for at, line in enumerate(lines):
        is_alone = not any(is_comment[max(at - 1, 0) : at] + is_comment[at + 1 : at + 2])
        if is_alone and re.fullmatch(r"\s*/// \S+", line):
            yield at + 1


def tests_in_documentation(text: str) -> Iterator[int]:
    """The numbers of the lines that begin a block of code that rustdoc would compile as a test."""
    is_inside = False
    for number, line in enumerate(text.splitlines(), 1):
        if fence := re.match(r"\s*//[/!] ?```(.*)", line):
            if not is_inside and fence[1].strip() in ("", "rust", "should_panic", "no_run", "compile_fail"):
                yield number
            is_inside = not is_inside


def check_comments() -> Iterator[str]:
    for name in tracked():
        if name.endswith(".rs"):
            text = (REPOSITORY / name).read_text()
            for number in one_word_comments(text):
                yield f"{name}:{number}: one word documents nothing; say what it is, or make the item private"
            for number in tests_in_documentation(text):
                yield f"{name}:{number}: tests in documentation are not run; write ```text, or a unit test"


# Subjects ---------------------------------------------------------------------------------------------------------


def wrong_subject(subject: str) -> str | None:
    """What is wrong with the subject of a commit."""
    if len(subject) > SUBJECT_LENGTH:
        return f"longer than {SUBJECT_LENGTH} characters"
    if subject.startswith(("Revert ", "fixup! ", "squash! ")):
        return None
    match = re.fullmatch(r"[a-z0-9][a-z0-9_\-]*(?:, [a-z0-9_\-]+)*: (\S+)(.*)", subject)
    if not match:
        return "not of the form `area: what changes`"
    if subject.endswith("."):
        return "ends in a full stop"
    first = re.sub(r"\W", "", match.group(1)).lower()
    if first in NOT_IMPERATIVE or (first.endswith(ENDS_LIKE_A_STATEMENT) and first not in IMPERATIVE):
        return f"`{match.group(1)}` begins no order; write what the commit does, as in `engine: bound triggers`"
    return None


def git(*arguments: str) -> str | None:
    done = subprocess.run(["git", *arguments], cwd=REPOSITORY, capture_output=True, text=True)
    return done.stdout.strip() if done.returncode == 0 else None


def check_subjects(base: str | None = None) -> Iterator[str]:
    known = [base] if base else [git("merge-base", "HEAD", "origin/main"), git("rev-parse", "--verify", CHECKED_SINCE)]
    known = [commit for commit in known if commit]
    if not known:
        return
    listed = git("log", "--no-merges", "--format=%h %s", "HEAD", "--not", *known)
    if listed is None:
        yield f"{base} is no revision of this repository"
        return
    for line in listed.splitlines():
        commit, _, subject = line.partition(" ")
        if wrong := wrong_subject(subject):
            yield f"{commit} {subject!r}: {wrong}"


# Site -------------------------------------------------------------------------------------------------------------


def check_site(folder: str = "target/site/html") -> Iterator[str]:
    built = REPOSITORY / folder
    pages = {path: path.read_text(errors="replace") for path in sorted(built.rglob("*.html"))}
    if not pages:
        yield f"{folder} holds no pages"
    for path, text in pages.items():
        # The page for addresses that do not exist sets its own base.
        if path.name == "404.html":
            continue
        for target in re.findall(r'(?:href|src)="([^"]*)"', text):
            if re.match(r"[a-z]+:|//|#|$", target):
                continue
            found = (path.parent / target.partition("#")[0]).resolve()
            if not found.exists():
                yield f"{path.relative_to(built)}: {target} does not exist"


CHECKS = {
    "width": check_width,
    "comments": check_comments,
    "links": check_links,
    "paths": check_paths,
    "subjects": check_subjects,
    "site": check_site,
}


def main(arguments: list[str]) -> int:
    if arguments and arguments[0] not in CHECKS:
        print(__doc__, file=sys.stderr)
        return 2
    found = []
    for name in arguments[:1] or [name for name in CHECKS if name != "site"]:
        found.extend(CHECKS[name](*arguments[1:]))
    for line in found:
        print(line, file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

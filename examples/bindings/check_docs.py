"""
Every block of code in the language guides is a part of a file that a test runs: the file is named in a comment above it,
<!-- from PATH -->, and the lines are there as they are on the page.

usage: check_docs.py docs/python.md...
"""

import re
import sys
import textwrap
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CHECKED = {"python", "rust", "go", "c", "cpp"}


def contains(lines, block):
    n = len(block)
    wanted = textwrap.dedent("\n".join(block))
    return any(textwrap.dedent("\n".join(lines[i : i + n])) == wanted for i in range(len(lines) - n + 1))


def problems_of(page):
    text = page.read_text(encoding="utf-8")
    blocks = re.findall(r"(?:<!-- from (\S+) -->\n)?```(\w+)\n(.*?)\n```", text, re.S)
    checked = 0
    for source, language, code in blocks:
        if language not in CHECKED:
            continue
        checked += 1
        first = code.splitlines()[0]
        if not source:
            yield f"{page.name}: the block '{first}' does not say where it is from"
        elif not contains((ROOT / source).read_text(encoding="utf-8").splitlines(), code.splitlines()):
            yield f"{page.name}: the block '{first}' is not in {source}"
    if not checked:
        yield f"{page.name}: no code"


def main():
    problems = [problem for name in sys.argv[1:] for problem in problems_of(Path(name))]
    print("\n".join(problems) or "every block is in its file")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())

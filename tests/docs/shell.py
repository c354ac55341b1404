"""The simple commands of a shell script, as lists of words."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator

SEPARATORS = ";&|()\n"
HEREDOC = re.compile(r"(<<-?\s*'?(\w+)'?[^\n]*\n).*?^\2$", re.DOTALL | re.MULTILINE)
DESCRIPTOR = re.compile(r"(?<=\s)\d(?=[<>])")
COMMENT = re.compile(r"(^|\s)#\s[^\n]*")
ASSIGNMENT = re.compile(r"\w+=")
SUBSTITUTION = re.compile(r"\$\(([^()]*)\)")


def commands_in(script: str) -> Iterator[list[str]]:
    """The words of each command: without comments, assignments and redirections.

    Commands in `$(...)` follow as commands of their own, also those in quotes.
    """
    script = HEREDOC.sub(r"\1", script.replace("\\\n", " "))
    script = DESCRIPTOR.sub("", COMMENT.sub("", script))
    lexer = shlex.shlex(script, posix=True, punctuation_chars=f"{SEPARATORS}<>")
    lexer.whitespace = " \t"
    lexer.whitespace_split = True
    lexer.commenters = ""
    words: list[str] = []
    after_redirection = False
    for token in lexer:
        if set(token) <= set(SEPARATORS):
            yield from _without_assignments(words)
            words = []
        elif set(token) <= set(f"{SEPARATORS}<>"):
            after_redirection = True
        elif after_redirection:
            after_redirection = False
        else:
            words.append(token)
    yield from _without_assignments(words)


def _without_assignments(words: list[str]) -> Iterator[list[str]]:
    inner = [inside for word in words for inside in SUBSTITUTION.findall(word)]
    while words and ASSIGNMENT.match(words[0]):
        words = words[1:]
    if words:
        yield words
    for script in inner:
        yield from commands_in(script)

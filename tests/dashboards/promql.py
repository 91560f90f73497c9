"""Which series and labels a PromQL expression names.

Not a parser: Prometheus is asked whether an expression is right. This only tells names apart, so that
each can be held against the list.
"""

import re
from dataclasses import dataclass, field

TOKEN = re.compile(
    r"""(?P<string>"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'|`[^`]*`)
      | (?P<duration>\d+(?:ms|[smhdwy])(?:\d+(?:ms|[smhdwy]))*)
      | (?P<number>0x[0-9a-fA-F]+|(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)
      | (?P<name>[a-zA-Z_][a-zA-Z0-9_:]*)
      | (?P<comment>\#[^\n]*)
      | (?P<space>\s+)
      | (?P<sign>.)""",
    re.VERBOSE,
)
GROUPING = {"by", "without", "on", "ignoring", "group_left", "group_right"}
KEYWORDS = GROUPING | {"and", "or", "unless", "offset", "bool", "atan2", "inf", "nan", "start", "end"}


@dataclass
class Names:
    """What an expression names: each series with the labels it is filtered by, and grouping labels."""

    selectors: list = field(default_factory=list)
    grouping: set = field(default_factory=set)

    def series(self):
        """The names of all series."""
        return {name for name, _ in self.selectors}


def names(expression):
    """Collects the names in an expression."""
    tokens = [
        (match.lastgroup, match[0])
        for match in TOKEN.finditer(expression)
        if match.lastgroup not in ("space", "comment")
    ]
    found = Names()
    at = 0
    while at < len(tokens):
        kind, text = tokens[at]
        following = tokens[at + 1][1] if at + 1 < len(tokens) else ""
        if kind == "name" and text.lower() in GROUPING and following == "(":
            labels, at = _until(tokens, at + 2, ")")
            found.grouping.update(labels)
        elif text == "{":
            labels, at = _until(tokens, at + 1, "}")
            found.selectors.append(("", frozenset(labels)))
        elif kind == "name" and text.lower() not in KEYWORDS and not _is_call(tokens, at):
            labels = []
            if following == "{":
                labels, at = _until(tokens, at + 2, "}")
            found.selectors.append((text, frozenset(labels)))
        at += 1
    return found


def _is_call(tokens, at):
    """Whether the name is a function or an aggregation: `f(`, `sum by (…) (`."""
    following = tokens[at + 1][1].lower() if at + 1 < len(tokens) else ""
    return following == "(" or following in ("by", "without")


def _until(tokens, at, closing):
    """The names up to a closing sign, and that sign's place."""
    labels = []
    while at < len(tokens) and tokens[at][1] != closing:
        if tokens[at][0] == "name":
            labels.append(tokens[at][1])
        at += 1
    return labels, at

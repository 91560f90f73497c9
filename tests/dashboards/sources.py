"""Reads what is to be checked: Grafana's dashboards (JSON) and Prometheus' alert rules (YAML)."""

import json
import re
from dataclasses import dataclass
from pathlib import Path

LABEL_VALUES = re.compile(r"label_values\(\s*(?:(?P<selector>.+),)?\s*(?P<label>[a-zA-Z_]\w*)\s*\)")
LEGEND_LABEL = re.compile(r"\{\{\s*([a-zA-Z_]\w*)\s*\}\}")
TEMPLATE_LABEL = re.compile(r"\$labels\.([a-zA-Z_]\w*)")
RULE_START = re.compile(r"(?P<indent> *)- (?:alert|record): (?P<name>\S+)")
RULE_EXPR = re.compile(r"(?P<indent> *)expr:\s*(?P<value>.*)")
BLOCK = re.compile(r"[|>][+-]?")


class SourceError(Exception):
    """A file cannot be read as what it should be."""


@dataclass(frozen=True)
class Query:
    """One expression, where it stands, the labels its legend or texts show, and its dashboard's variables."""

    place: str
    expression: str
    shown_labels: frozenset = frozenset()
    variables: frozenset = frozenset()


def dashboard_queries(folder):
    """Every query of every dashboard below a folder, those of its variables included."""
    files = sorted(Path(folder).rglob("*.json"))
    if not files:
        raise SourceError(f"{folder}: no dashboard")
    return [query for file in files for query in _queries_of(file)]


def _queries_of(file):
    try:
        dashboard = json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise SourceError(f"{file}: {error}") from error
    declared = [v for v in dashboard.get("templating", {}).get("list", []) if v.get("type") != "datasource"]
    variables = frozenset(variable.get("name", "") for variable in declared)
    for variable in declared:
        if variable.get("type") == "query":
            yield Query(*_variable_query(file, variable), variables=variables)
    for panel in _panels(dashboard.get("panels", [])):
        place = f'{file.name}: panel "{panel.get("title", "")}"'
        targets = panel.get("targets", [])
        if not targets and panel.get("type") != "text":
            raise SourceError(f"{place}: it has no query")
        for target in targets:
            shown = frozenset(LEGEND_LABEL.findall(target.get("legendFormat", "")))
            yield Query(f'{place} {target.get("refId", "")}', target.get("expr", ""), shown, variables)


def _panels(panels):
    """All panels but rows, those inside collapsed rows too."""
    for panel in panels:
        if panel.get("type") == "row":
            yield from _panels(panel.get("panels", []))
        else:
            yield panel


def _variable_query(file, variable):
    place = f'{file.name}: variable "{variable.get("name", "")}"'
    query = variable.get("query", "")
    text = query.get("query", "") if isinstance(query, dict) else query
    match = LABEL_VALUES.fullmatch(text.strip())
    if match is None or match["selector"] is None:
        raise SourceError(f"{place}: expected label_values(metric, label), found {text!r}")
    return place, f'count by ({match["label"]}) ({match["selector"]})'


def rule_queries(folder):
    """Every rule's expression below a folder; files that end in _test are promtool's tests."""
    files = [file for file in sorted(Path(folder).rglob("*.y*ml")) if not file.stem.endswith("_test")]
    queries = [query for file in files for query in _rules_of(file)]
    if not queries:
        raise SourceError(f"{folder}: no rule")
    return queries


def _rules_of(file):
    """Reads rules as promtool has already found them valid: a name line, then an expr line or block."""
    lines = file.read_text(encoding="utf-8").splitlines()
    starts = [at for at, line in enumerate(lines) if RULE_START.fullmatch(line)]
    for start, end in zip(starts, starts[1:] + [len(lines)]):
        place = f'{file.name}: rule {RULE_START.fullmatch(lines[start])["name"]}'
        body = lines[start + 1 : end]
        shown = frozenset(TEMPLATE_LABEL.findall("\n".join(body)))
        yield Query(place, _expression(place, body), shown)


def _expression(place, body):
    for at, line in enumerate(body):
        match = RULE_EXPR.fullmatch(line)
        if match is None:
            continue
        if not BLOCK.fullmatch(match["value"]):
            if match["value"][:1] in ("", "'", '"'):
                raise SourceError(f"{place}: write its expr plain or as a block (|)")
            return match["value"]
        indent = len(match["indent"])
        block = []
        for following in body[at + 1 :]:
            if following.strip() and len(following) - len(following.lstrip()) <= indent:
                break
            block.append(following)
        return "\n".join(block).strip()
    raise SourceError(f"{place}: it has no expr")

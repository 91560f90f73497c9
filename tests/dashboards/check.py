#!/usr/bin/env python3
"""Holds dashboards and alert rules against a real Prometheus and against the list of metrics.

Every query of every panel must give data there, every rule must evaluate, and nothing may name a metric
or a label that `dashboards/metrics.txt` does not list. Needs Python's standard library alone.
"""

import argparse
import re
import sys
from dataclasses import replace
from pathlib import Path

from metric_list import MetricList, MetricListError
from promql import names
from prometheus_api import Prometheus, PrometheusError
from sources import SourceError, dashboard_queries, rule_queries

METRICS_FILE = Path(__file__).resolve().parents[2] / "dashboards" / "metrics.txt"
VARIABLE = re.compile(r"\$\{(\w+)(?::\w+)?\}|\$(\w+)|\[\[(\w+)\]\]")
OURS = "millpond_"


class Report:
    """Prints each check as it ends and counts."""

    def __init__(self):
        self.passed = 0
        self.failed = 0

    def add(self, place, problems):
        """Counts one check; it passed when it has no problem."""
        if problems:
            self.failed += 1
            print(f"FAIL  {place}")
            for problem in problems:
                print(f"      {problem}")
        else:
            self.passed += 1
            print(f"ok    {place}")

    def end(self):
        """Prints the sum and gives the exit code."""
        print(f"{self.passed} passed, {self.failed} failed")
        return 1 if self.failed else 0


def substitute(query, built_in):
    """Puts values in place of Grafana's variables, All for the dashboard's own; unknown ones are left."""
    values = dict.fromkeys(query.variables, ".*") | built_in
    expression = VARIABLE.sub(lambda match: values.get(match[1] or match[2] or match[3], match[0]), query.expression)
    return replace(query, expression=expression)


def naming_problems(query, metrics):
    """What a query names that the list does not have."""
    found = names(query.expression)
    problems = []
    known = set()
    for series, filters in found.selectors:
        labels = metrics.labels_of(series)
        if not labels:
            problems.append(f"{series or 'a selector without a name'} is not in metrics.txt")
            continue
        known |= labels
        problems += [f"{series} has no label {label}" for label in sorted(filters - labels)]
    if not problems:
        for label in sorted((found.grouping | query.shown_labels) - known):
            problems.append(f"no metric in it has a label {label}")
    return problems


def check_dashboards(queries, metrics, prometheus, report):
    """Each query names known things and gives data."""
    for query in queries:
        left = VARIABLE.search(query.expression)
        problems = [f"its dashboard has no variable {left[0]}"] if left else naming_problems(query, metrics)
        report.add(query.place, problems or _data_problems(prometheus, query.expression))


def _data_problems(prometheus, expression):
    try:
        return [] if prometheus.has_data(expression) else [f"no data: {expression}"]
    except PrometheusError as error:
        return [f"{error}: {expression}"]


def check_rules(queries, metrics, prometheus, report):
    """Each rule names known things and evaluates; it need not give anything."""
    for query in queries:
        problems = naming_problems(query, metrics)
        try:
            prometheus.evaluate(query.expression)
        except PrometheusError as error:
            problems.append(f"{error}: {query.expression}")
        report.add(query.place, problems)


def check_metrics(queries, metrics, prometheus, report):
    """What is exposed is listed, label by label, and what is listed is shown somewhere."""
    try:
        exposed = prometheus.series(f'{{__name__=~"{OURS}.+"}}')
    except PrometheusError as error:
        report.add("exposed metrics", [str(error)])
        return
    problems = set()
    for labels in exposed:
        series = labels["__name__"]
        if metrics.metric_of(series) is None:
            problems.add(f"{series} is exposed, but not in metrics.txt")
            continue
        for label in labels.keys() - {"__name__"} - metrics.labels_of(series):
            problems.add(f"{series} is exposed with the label {label}, which metrics.txt does not list")
    report.add("exposed metrics and labels are those of metrics.txt", sorted(problems))

    used = _metric_names(metrics, (series for query in queries for series in names(query.expression).series()))
    report.add(
        "every metric of metrics.txt is in a panel or a rule",
        [f"{name} is shown nowhere" for name in sorted(metrics.names() - used)],
    )
    seen = _metric_names(metrics, (labels["__name__"] for labels in exposed))
    for name in sorted(metrics.names() - seen):
        print(f"note  {name}: this Prometheus has no series of it yet")


def _metric_names(metrics, series_names):
    found = (metrics.metric_of(series) for series in series_names)
    return {metric.name for metric in found if metric is not None}


def run(arguments):
    """Runs every check and gives the exit code."""
    report = Report()
    prometheus = Prometheus(arguments.prometheus, arguments.window)
    built_in = {
        "__rate_interval": arguments.rate_interval,
        "__interval": arguments.rate_interval,
        "__range": f"{arguments.window}s",
        "__range_s": str(arguments.window),
    }
    try:
        metrics = MetricList.read(arguments.metrics)
        panels = [substitute(query, built_in) for query in dashboard_queries(arguments.dashboards)]
        rules = rule_queries(arguments.rules) if arguments.rules else []
    except (MetricListError, SourceError, OSError) as error:
        report.add("files", [str(error)])
        return report.end()
    check_dashboards(panels, metrics, prometheus, report)
    check_rules(rules, metrics, prometheus, report)
    check_metrics(panels + rules, metrics, prometheus, report)
    return report.end()


def main():
    """Reads the arguments."""
    parser = argparse.ArgumentParser(description="Check dashboards and rules against a real Prometheus.")
    parser.add_argument("--prometheus", required=True, metavar="URL")
    parser.add_argument("--dashboards", required=True, metavar="DIR", help="Grafana's dashboards, *.json")
    parser.add_argument("--rules", metavar="DIR", help="Prometheus' rules, *.yml")
    parser.add_argument("--metrics", default=METRICS_FILE, metavar="FILE", help="default: %(default)s")
    parser.add_argument("--rate-interval", default="1m", metavar="DURATION", help="default: %(default)s")
    parser.add_argument(
        "--window",
        type=int,
        default=600,
        metavar="SECONDS",
        help="a query passes if it gave a number within this time; default: %(default)s",
    )
    return run(parser.parse_args())


if __name__ == "__main__":
    sys.exit(main())

"""The metrics that dashboards and rules may use: `dashboards/metrics.txt`.

Each line is a name, its type and its labels: counter, histogram, gauge (one a process), or fleet (a
gauge that one elected process answers for all).
"""

import re
from dataclasses import dataclass
from pathlib import Path

TYPES = ("counter", "histogram", "gauge", "fleet")
# What Prometheus adds to each series it scrapes.
TARGET_LABELS = frozenset({"instance", "job"})
HISTOGRAM_SERIES = re.compile(r"(.+)_(bucket|sum|count)")


class MetricListError(Exception):
    """The list cannot be read."""


@dataclass(frozen=True)
class Metric:
    """One metric: its name without `_bucket` and the like, its type, and its own labels."""

    name: str
    type: str
    labels: frozenset


class MetricList:
    """Answers which series exist and which labels they carry."""

    def __init__(self, metrics):
        self._metrics = {metric.name: metric for metric in metrics}

    @classmethod
    def read(cls, path):
        """Reads the list; a line that is none of its kind is an error with its number."""
        metrics = []
        for number, line in enumerate(Path(path).read_text(encoding="utf-8").splitlines(), 1):
            words = line.split()
            if not words:
                continue
            if len(words) < 2 or words[1] not in TYPES:
                raise MetricListError(f"{path}:{number}: expected a name, one of {', '.join(TYPES)}, and labels")
            metrics.append(Metric(words[0], words[1], frozenset(words[2:])))
        if not metrics:
            raise MetricListError(f"{path}: no metric")
        return cls(metrics)

    def names(self):
        """Every metric's name."""
        return set(self._metrics)

    def metric_of(self, series):
        """The metric that a series name belongs to, or None: a histogram exists as three series."""
        metric = self._metrics.get(series)
        if metric is not None:
            return metric if metric.type != "histogram" else None
        match = HISTOGRAM_SERIES.fullmatch(series)
        metric = self._metrics.get(match[1]) if match else None
        return metric if metric is not None and metric.type == "histogram" else None

    def labels_of(self, series):
        """The labels that a series may carry, those of its target included."""
        metric = self.metric_of(series)
        if metric is None:
            return frozenset()
        own = metric.labels | TARGET_LABELS
        return own | {"le"} if series.endswith("_bucket") and metric.type == "histogram" else own

"""Asks a running Prometheus over its HTTP API."""

import json
import math
import time
import urllib.error
import urllib.parse
import urllib.request

TIMEOUT_SECONDS = 10
LARGEST_ANSWER_BYTES = 64 * 1024 * 1024
POINTS = 120


class PrometheusError(Exception):
    """Prometheus refused a request, or did not answer it."""


class Prometheus:
    """One server, asked about its last minutes."""

    def __init__(self, url, window_seconds):
        self._url = url.rstrip("/")
        self._window_seconds = window_seconds

    def has_data(self, expression):
        """Whether the expression gave a number at any time within the window."""
        end = time.time()
        data = self._ask(
            "query_range",
            [
                ("query", expression),
                ("start", f"{end - self._window_seconds:.3f}"),
                ("end", f"{end:.3f}"),
                ("step", str(max(1, self._window_seconds // POINTS))),
            ],
        )
        return any(
            not math.isnan(float(value)) for series in data["result"] for _, value in series.get("values", [])
        )

    def evaluate(self, expression):
        """Evaluates an expression now; whether it gives anything does not matter."""
        self._ask("query", [("query", expression)])

    def series(self, selector):
        """The label sets of all series within the window."""
        start = time.time() - self._window_seconds
        return self._ask("series", [("match[]", selector), ("start", f"{start:.3f}")])

    def _ask(self, path, parameters):
        request = urllib.request.Request(
            f"{self._url}/api/v1/{path}", data=urllib.parse.urlencode(parameters).encode(), method="POST"
        )
        try:
            with urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS) as answer:
                body = json.loads(answer.read(LARGEST_ANSWER_BYTES))
        except urllib.error.HTTPError as error:
            raise PrometheusError(_reason(error)) from error
        except (OSError, ValueError) as error:
            raise PrometheusError(f"no answer from {self._url}: {error}") from error
        if body.get("status") != "success":
            raise PrometheusError(str(body.get("error", "no reason given")))
        return body["data"]


def _reason(error):
    """What Prometheus says is wrong, or the bare status where it says nothing."""
    try:
        return json.loads(error.read(LARGEST_ANSWER_BYTES))["error"]
    except (OSError, ValueError, KeyError, TypeError):
        return f"HTTP {error.code}"

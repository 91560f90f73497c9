"""What `check.py` passes and what it catches, against a stand-in that answers like Prometheus.

`python3 -m unittest discover -s tests/dashboards`
"""

import contextlib
import io
import json
import tempfile
import threading
import unittest
import urllib.parse
from argparse import Namespace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from check import run

METRICS = """\
millpond_jobs_claimed_total counter queue kind
millpond_claim_seconds histogram queue
"""
CLAIMED = 'sum by (kind) (rate(millpond_jobs_claimed_total{queue=~"$queue"}[$__rate_interval]))'
SLOW = "histogram_quantile(0.9, sum by (le, queue) (rate(millpond_claim_seconds_bucket[1m])))"
RULE = """\
groups:
  - name: claims
    rules:
      - alert: NothingClaimed
        expr: |
          sum by (queue) (rate(millpond_jobs_claimed_total[5m])) == 0
          unless on (queue) sum by (queue) (millpond_claim_seconds_count offset 5m) > 0
        for: 5m
        annotations:
          summary: Nothing of {{ $labels.queue }} is claimed
"""
EXPOSED = [
    {"__name__": "millpond_jobs_claimed_total", "queue": "a", "kind": "a.b", "job": "j", "instance": "i"},
    {"__name__": "millpond_claim_seconds_bucket", "queue": "a", "le": "1", "job": "j", "instance": "i"},
]


class StandIn(BaseHTTPRequestHandler):
    """Answers each query with the values its server was told, or refuses it."""

    def do_POST(self):
        length = int(self.headers["Content-Length"])
        form = urllib.parse.parse_qs(self.rfile.read(length).decode())
        if self.path.endswith("/series"):
            self._answer(200, {"status": "success", "data": self.server.exposed})
        elif self.server.refusal:
            self._answer(400, {"status": "error", "error": self.server.refusal})
        else:
            self.server.asked.append(form["query"][0])
            series = [{"metric": {}, "values": [[1, value]]} for value in self.server.values]
            self._answer(200, {"status": "success", "data": {"result": series}})

    def _answer(self, status, body):
        text = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_arguments):
        """Keeps the test's output to itself."""


class Check(unittest.TestCase):
    def setUp(self):
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), StandIn)
        self.server.values, self.server.refusal, self.server.asked = ["1"], "", []
        self.server.exposed = EXPOSED
        thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        self.addCleanup(thread.join)
        self.addCleanup(self.server.server_close)
        self.addCleanup(self.server.shutdown)
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)

    def check(self, expression=CLAIMED, legend="{{kind}}", rule=RULE, metrics=METRICS):
        """Runs the check over one panel beside a sound one, and one rule; gives its exit code and output."""
        targets = [{"refId": "A", "expr": expression, "legendFormat": legend}, {"refId": "B", "expr": SLOW}]
        dashboard = {
            "templating": {"list": [{"name": "queue", "type": "query",
                                     "query": {"query": "label_values(millpond_jobs_claimed_total, queue)"}}]},
            "panels": [{"type": "row", "panels": [{"type": "timeseries", "title": "Claims", "targets": targets}]}],
        }
        (self.folder / "one.json").write_text(json.dumps(dashboard), encoding="utf-8")
        (self.folder / "one.yml").write_text(rule, encoding="utf-8")
        (self.folder / "one_test.yml").write_text("no rules here", encoding="utf-8")
        return self.check_folder(metrics)

    def check_folder(self, metrics=METRICS):
        """Runs the check over what lies in the folder; gives its exit code and output."""
        (self.folder / "metrics.txt").write_text(metrics, encoding="utf-8")
        arguments = Namespace(
            prometheus=f"http://127.0.0.1:{self.server.server_port}",
            dashboards=self.folder,
            rules=self.folder,
            metrics=self.folder / "metrics.txt",
            rate_interval="1m",
            window=60,
        )
        output = io.StringIO()
        with contextlib.redirect_stdout(output):
            code = run(arguments)
        return code, output.getvalue()

    def assert_fails(self, result, *texts):
        code, output = result
        self.assertEqual(code, 1, output)
        for text in texts:
            self.assertIn(text, output)

    def test_sound_dashboards_and_rules_pass(self):
        code, output = self.check()

        self.assertEqual(code, 0, output)
        self.assertEqual(output.splitlines()[-1], "6 passed, 0 failed")

    def test_variables_are_put_in_before_prometheus_is_asked(self):
        self.check()

        self.assertIn('sum by (kind) (rate(millpond_jobs_claimed_total{queue=~".*"}[1m]))', self.server.asked)

    def test_a_query_without_data_names_its_panel(self):
        self.server.values = []

        self.assert_fails(self.check(), 'FAIL  one.json: panel "Claims" A', "no data: sum by (kind)")

    def test_values_that_are_no_numbers_are_no_data(self):
        self.server.values = ["NaN"]

        self.assert_fails(self.check(), "no data: ")

    def test_what_prometheus_refuses_fails_with_its_reason(self):
        self.server.refusal = "parse error: unclosed left parenthesis"

        self.assert_fails(self.check(), 'panel "Claims" A', "rule NothingClaimed", "unclosed left parenthesis")

    def test_an_unknown_metric_fails(self):
        result = self.check("sum(millpond_claims_total)", "")

        self.assert_fails(result, 'panel "Claims" A', "millpond_claims_total is not in metrics.txt")

    def test_a_histogram_has_no_series_of_its_bare_name(self):
        self.assert_fails(self.check("millpond_claim_seconds", ""), "millpond_claim_seconds is not in metrics.txt")

    def test_an_unknown_label_in_a_filter_fails(self):
        result = self.check('millpond_jobs_claimed_total{tenant="acme"}', "")

        self.assert_fails(result, "millpond_jobs_claimed_total has no label tenant")

    def test_an_unknown_label_in_a_grouping_fails(self):
        self.assert_fails(self.check("sum by (tenant) (millpond_jobs_claimed_total)", ""), "a label tenant")

    def test_an_unknown_label_in_a_legend_fails(self):
        self.assert_fails(self.check(legend="{{tenant}}"), "a label tenant")

    def test_a_bucket_label_outside_buckets_fails(self):
        self.assert_fails(self.check('millpond_claim_seconds_count{le="1"}', ""), "has no label le")

    def test_a_variable_that_the_dashboard_does_not_declare_fails(self):
        self.assert_fails(self.check('millpond_jobs_claimed_total{queue="$queu"}'), "has no variable $queu")

    def test_an_unknown_metric_in_a_rule_fails(self):
        rule = RULE.replace("millpond_claim_seconds_count offset", "millpond_claims offset")

        self.assert_fails(self.check(rule=rule), "rule NothingClaimed", "millpond_claims is not in metrics.txt")

    def test_an_unknown_label_in_the_text_of_a_rule_fails(self):
        self.assert_fails(self.check(rule=RULE.replace("$labels.queue", "$labels.tenant")), "a label tenant")

    def test_a_listed_metric_that_nothing_shows_fails(self):
        result = self.check(metrics=METRICS + "millpond_workers fleet version\n")

        self.assert_fails(result, "millpond_workers is shown nowhere")

    def test_an_exposed_metric_that_is_not_listed_fails(self):
        self.server.exposed = [*EXPOSED, {"__name__": "millpond_surprises_total"}]

        self.assert_fails(self.check(), "millpond_surprises_total is exposed, but not in metrics.txt")

    def test_an_exposed_label_that_is_not_listed_fails(self):
        self.server.exposed = [{**EXPOSED[0], "tenant": "acme"}]

        self.assert_fails(self.check(), "exposed with the label tenant")

    def test_a_listed_metric_that_is_not_exposed_yet_is_noted(self):
        self.server.exposed = EXPOSED[:1]

        code, output = self.check()

        self.assertEqual(code, 0, output)
        self.assertIn("note  millpond_claim_seconds: ", output)

    def test_a_prometheus_that_does_not_answer_fails_each_check(self):
        self.server.shutdown()
        self.server.server_close()

        self.assert_fails(self.check(), "no answer from http://127.0.0.1", "0 passed, 5 failed")

    def test_a_folder_without_dashboards_fails(self):
        self.assert_fails(self.check_folder(), "no dashboard", "0 passed, 1 failed")

    def test_a_list_of_metrics_with_an_unknown_type_fails_with_its_line(self):
        result = self.check(metrics=METRICS + "millpond_workers many version\n")

        self.assert_fails(result, "metrics.txt:3: expected a name, one of counter, histogram, gauge, fleet")


if __name__ == "__main__":
    unittest.main()

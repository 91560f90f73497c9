"""Rules for our own dashboards, alerts and run-book that need no Prometheus."""

import json
import re
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DASHBOARDS = sorted((ROOT / "dashboards" / "grafana").glob("*.json"))
RULES = (ROOT / "dashboards" / "prometheus" / "rules" / "millpond.yml").read_text(encoding="utf-8")
RULE_TESTS = (ROOT / "dashboards" / "prometheus" / "rules" / "millpond_test.yml").read_text(encoding="utf-8")
RUN_BOOK = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")


def alerts():
    """Each alert's name with the text of its rule."""
    _, *parts = re.split(r"^ +- alert: (\S+)\n", RULES, flags=re.MULTILINE)
    return dict(zip(parts[::2], parts[1::2]))


def panels():
    """Each panel with its dashboard's file name; rows are left out."""
    for file in DASHBOARDS:
        for panel in json.loads(file.read_text(encoding="utf-8"))["panels"]:
            if panel["type"] != "row":
                yield file.name, panel


class Dashboards(unittest.TestCase):
    def test_each_has_a_uid_of_its_own_that_stays(self):
        uids = [json.loads(file.read_text(encoding="utf-8"))["uid"] for file in DASHBOARDS]

        self.assertEqual(uids, [file.stem for file in DASHBOARDS])

    def test_each_asks_the_data_source_that_its_variable_names(self):
        for file in DASHBOARDS:
            text = file.read_text(encoding="utf-8")

            uids = set(re.findall(r'"type": "prometheus", "uid": "([^"]*)"', text))

            self.assertEqual(uids, {"${datasource}"}, file.name)

    def test_each_panel_says_what_it_means(self):
        silent = [(name, panel["title"]) for name, panel in panels() if len(panel.get("description", "")) < 40]

        self.assertEqual(silent, [])

    def test_each_curve_has_a_unit_and_a_legend(self):
        for name, panel in panels():
            if panel["type"] == "text":
                continue
            if panel["type"] != "state-timeline":
                self.assertTrue(panel["fieldConfig"]["defaults"].get("unit"), (name, panel["title"]))
            for target in panel["targets"]:
                self.assertTrue(target.get("legendFormat"), (name, panel["title"]))

    def test_no_two_panels_share_an_id_or_a_place(self):
        ids, cells = set(), set()
        for name, panel in panels():
            place = panel["gridPos"]
            covered = {
                (name, place["x"] + x, place["y"] + y) for x in range(place["w"]) for y in range(place["h"])
            }

            self.assertNotIn((name, panel["id"]), ids)
            self.assertFalse(covered & cells, (name, panel["title"]))
            self.assertLessEqual(place["x"] + place["w"], 24)

            ids.add((name, panel["id"]))
            cells |= covered


class Alerts(unittest.TestCase):
    def test_each_has_a_severity_and_texts(self):
        for name, rule in alerts().items():
            for needed in (r"severity: (critical|warning)\n", r"summary: \S", r"description: \S"):
                self.assertRegex(rule, needed, name)

    def test_each_links_to_its_own_section_of_the_run_book(self):
        headings = {heading.lower() for heading in re.findall(r"^#+ (\S+)$", RUN_BOOK, flags=re.MULTILINE)}
        for name, rule in alerts().items():
            self.assertIn(f"runbook_url: docs/operations.md#{name.lower()}\n", rule)
            self.assertIn(name.lower(), headings)

    def test_the_run_book_has_no_section_for_an_alert_that_is_gone(self):
        headings = set(re.findall(r"^#+ (Millpond[A-Z]\S+)$", RUN_BOOK, flags=re.MULTILINE))

        self.assertEqual(headings - alerts().keys(), set())

    def test_each_is_tested_firing_and_quiet(self):
        cases = re.split(r"^ +- alertname: ", RULE_TESTS, flags=re.MULTILINE)[1:]
        firing = {case.split()[0] for case in cases if "exp_alerts:" in case}
        quiet = {case.split()[0] for case in cases if "exp_alerts:" not in case}

        self.assertEqual(alerts().keys() - firing, set())
        self.assertEqual(alerts().keys() - quiet, set())


if __name__ == "__main__":
    unittest.main()

"""Meta's own SDK against the sandbox: figures, at once and in reports, are those of the world."""

import unittest
from decimal import Decimal

from facebook_business.adobjects.adreportrun import AdReportRun

import sandbox
from meta import ACCOUNT, AdsTest, every_state
from sandbox import WEEK, control, figures

MICROS = 1_000_000
BY_HOUR = "hourly_stats_aggregated_by_advertiser_time_zone"


def worth(row, name, action_type):
    """What a row's list says of an action; none is zero."""
    told = {entry["action_type"]: entry["value"] for entry in row.get(name, [])}
    return Decimal(told.get(action_type, 0))


def told_by_meta(row):
    """A row's figures: in it all of them are text, and money is in major units."""
    return (
        int(row["impressions"]),
        int(row["clicks"]),
        Decimal(row["spend"]) * MICROS,
        worth(row, "actions", "omni_purchase"),
        worth(row, "action_values", "omni_purchase") * MICROS,
        worth(row, "actions", "lead"),
    )


def as_they_are(row):
    return (
        row["impressions"],
        row["clicks"],
        row["spend_micros"],
        (row["conversion_millis"] - row["lead_millis"]) // 1000,
        row["revenue_micros"],
        row["lead_millis"] // 1000,
    )


class InsightsAreRead(AdsTest):
    FIELDS = ["impressions", "clicks", "spend", "actions", "action_values", "account_currency"]

    def week(self, of, **changes):
        since, until = WEEK
        return {
            "level": of,
            "time_range": {"since": since, "until": until},
            "time_increment": 1,
            "limit": 50,
            "filtering": every_state(of),
            **changes,
        }

    def test_the_figures_of_each_level_and_day_are_those_of_the_world(self):
        for kind, word in (("campaign", "campaign"), ("ad_set", "adset"), ("ad", "ad")):
            with self.subTest(kind=kind):
                rows = self.account.get_insights(
                    fields=[f"{word}_id", *self.FIELDS], params=self.week(word)
                )

                told = {(row[f"{word}_id"], row["date_start"]): told_by_meta(row) for row in rows}
                known = figures("meta", ACCOUNT, kind)
                self.assertEqual(told, {key: as_they_are(row) for key, row in known.items()})

    def test_an_accounts_row_is_the_sum_of_all_that_it_holds(self):
        params = self.week("account")
        del params["filtering"], params["time_increment"]

        [row] = self.account.get_insights(fields=self.FIELDS, params=params)

        known = figures("meta", ACCOUNT, "ad")
        self.assertEqual(int(row["impressions"]), sandbox.total(known, "impressions"))
        self.assertEqual(Decimal(row["spend"]) * MICROS, sandbox.total(known, "spend_micros"))
        self.assertEqual((row["date_start"], row["date_stop"]), WEEK)
        self.assertEqual(row["account_currency"], "USD")

    def test_hours_are_those_of_the_account(self):
        rows = self.account.get_insights(
            fields=["campaign_id", *self.FIELDS],
            params=self.week("campaign", breakdowns=[BY_HOUR], limit=500),
        )

        told = {
            (row["campaign_id"], row["date_start"], int(row[BY_HOUR][:2])): told_by_meta(row)
            for row in rows
        }
        known = figures("meta", ACCOUNT, "campaign", granularity="hour")
        self.assertEqual(told, {key: as_they_are(row) for key, row in known.items()})

    def test_attribution_windows_stand_beside_the_value(self):
        windows = ["7d_click", "1d_view"]

        rows = self.account.get_insights(
            fields=["actions"],
            params=self.week("campaign", action_attribution_windows=windows),
        )

        purchases = [
            entry
            for row in rows
            for entry in row.get("actions", [])
            if entry["action_type"] == "purchase"
        ]
        self.assertTrue(purchases)
        for entry in purchases:
            parts = sum(int(entry.get(window, 0)) for window in windows)
            self.assertEqual(parts, int(entry["value"]))

    def test_questions_that_cannot_be_answered(self):
        cases = (
            ({"breakdowns": ["age", "country", BY_HOUR]}, 2, 1504041),
            ({"time_range": {"since": "2023-01-01", "until": "2023-01-07"}}, 100, None),
            ({"limit": 5000}, 1, None),
            ({"level": "nothing"}, 100, None),
        )
        for changes, code, subcode in cases:
            with self.subTest(changes=changes):
                params = self.week("campaign", **changes)
                self.assert_refused(
                    code, subcode, self.account.get_insights, fields=["spend"], params=params
                )

        self.assert_refused(
            100, None, self.account.get_insights, fields=["nothing"], params=self.week("ad")
        )


class ReportsAreMadeInTheBackground(AdsTest):
    def begin(self):
        since, until = WEEK
        params = {
            "level": "ad",
            "time_range": {"since": since, "until": until},
            "time_increment": 1,
            "filtering": every_state("ad"),
        }
        fields = ["ad_id", *InsightsAreRead.FIELDS]
        return self.account.get_insights(fields=fields, params=params, is_async=True)

    def test_a_report_is_done_when_it_says_so_and_not_at_a_hundred_per_cent(self):
        report = self.begin()
        seen = []
        for seconds in (0, 3, 4, 6, 2):
            self.advance(seconds)
            report = report.api_get()
            seen.append((report["async_status"], report["async_percent_completion"]))

        self.assertEqual(seen[0], ("Job Not Started", 0))
        self.assertEqual(seen[1], ("Job Started", 0))
        self.assertEqual(seen[2][0], "Job Running")
        self.assertEqual(seen[3:], [("Job Running", 100), ("Job Completed", 100)])
        self.assertEqual((report["date_start"], report["date_stop"]), WEEK)

    def test_its_rows_are_those_of_the_world_page_by_page(self):
        report = self.begin()
        seen = self.advance(15)

        rows = report.get_insights(params={"limit": 40})

        told = {(row["ad_id"], row["date_start"]): told_by_meta(row) for row in rows}
        known = figures("meta", ACCOUNT, "ad", seen=seen)
        self.assertEqual(told, {key: as_they_are(row) for key, row in known.items()})

    def test_its_rows_cannot_be_read_before_it_is_done(self):
        report = self.begin()

        self.assert_refused(2601, 1815107, report.get_insights)

    def test_a_report_that_failed_says_why(self):
        control("POST", "/reports", {"platform": "meta", "fate": "fails"})
        report = self.begin()
        self.advance(60)

        report = report.api_get()

        self.assertEqual(report["async_status"], "Job Failed")
        self.assertEqual((report["error_code"], report["error_subcode"]), (2, 1504044))

    def test_a_report_is_found_by_the_id_that_was_kept(self):
        kept = self.begin()["report_run_id"]
        self.advance(15)

        report = AdReportRun(kept).api_get(fields=["async_status", "account_id"])

        self.assertEqual((report["async_status"], report["account_id"]), ("Job Completed", ACCOUNT))


if __name__ == "__main__":
    unittest.main()

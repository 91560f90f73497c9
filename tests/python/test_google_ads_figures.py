"""Google's own library against the sandbox: figures are those of the world, page by page."""

import json
import unittest

from google.ads.googleads.v26.services.types.google_ads_service import (
    SearchGoogleAdsResponse,
)

import sandbox
from google_ads import ACCOUNT, WHEN, GoogleTest, names, read
from sandbox import control, figures

# Rows of a page, whatever is asked for.
PAGE = 10_000
METRICS = """impressions clicks interactions cost_micros conversions conversions_value
    all_conversions all_conversions_value view_through_conversions video_trueview_views engagements
    ctr average_cpc average_cost average_cpm cost_per_conversion"""


def told_by_google(row):
    """A row's figures, absent ones as the zeros that they are."""
    metrics = row.metrics
    return (
        metrics.impressions,
        metrics.clicks,
        metrics.cost_micros,
        round(metrics.conversions * 1_000),
        round(metrics.conversions_value * 1_000_000),
        metrics.view_through_conversions,
    )


def as_they_are(row):
    return (
        row["impressions"],
        row["clicks"],
        row["spend_micros"],
        row["conversion_millis"],
        row["revenue_micros"],
        row["view_conversion_millis"] // 1_000,
    )


class FiguresAreRead(GoogleTest):
    LEVELS = (
        ("account", "customer", "customer.id", lambda row: row.customer.id),
        ("campaign", "campaign", "campaign.id", lambda row: row.campaign.id),
        ("ad_set", "ad_group", "ad_group.id", lambda row: row.ad_group.id),
        ("ad", "ad_group_ad", "ad_group_ad.ad.id", lambda row: row.ad_group_ad.ad.id),
    )

    def test_the_figures_of_each_level_and_day_are_those_of_the_world(self):
        for level, resource, id_field, id_of in self.LEVELS:
            with self.subTest(level=level):
                fields = f"{id_field}, segments.date, {names('metrics', METRICS)}"

                rows = self.page(f"SELECT {fields} FROM {resource} WHERE {WHEN}").results

                told = {(str(id_of(row)), row.segments.date): told_by_google(row) for row in rows}
                known = figures("google_ads", ACCOUNT, level)
                self.assertEqual(told, {key: as_they_are(row) for key, row in known.items()})

    def test_hours_are_those_of_the_account(self):
        fields = f"campaign.id, segments.date, segments.hour, {names('metrics', METRICS)}"

        batches = self.stream(f"SELECT {fields} FROM campaign WHERE {WHEN}")

        told = {
            (str(row.campaign.id), row.segments.date, row.segments.hour): told_by_google(row)
            for batch in batches
            for row in batch.results
        }
        known = figures("google_ads", ACCOUNT, "campaign", granularity="hour")
        self.assertEqual(told, {key: as_they_are(row) for key, row in known.items()})

    def test_ratios_are_fractions_and_averages_are_micros(self):
        query = f"SELECT {names('metrics', METRICS)} FROM customer WHERE {WHEN}"

        [row] = self.page(query).results

        metrics = row.metrics
        self.assertAlmostEqual(metrics.ctr, metrics.clicks / metrics.impressions)
        self.assertAlmostEqual(metrics.average_cpc, metrics.cost_micros / metrics.clicks)
        known = figures("google_ads", ACCOUNT, "ad")
        self.assertEqual(metrics.cost_micros, sandbox.total(known, "spend_micros"))


class AnswersArePaged(GoogleTest):
    """Pages have ten thousand rows each, so it takes the hours of many days to fill one.

    So many rows are read as JSON: Google's types take seconds for them.
    """

    QUERY = (
        "SELECT ad_group_ad.ad.id, segments.date, segments.hour, metrics.clicks FROM ad_group_ad "
        "WHERE segments.date BETWEEN '2026-11-05' AND '2026-11-16'"
    )

    def setUp(self):
        super().setUp()
        self.first = self.ask("search", self.QUERY).json()
        self.token = self.first["nextPageToken"]

    def test_pages_hold_each_row_of_the_stream_once(self):
        pages = [self.first]
        while "nextPageToken" in pages[-1]:
            token = pages[-1]["nextPageToken"]
            pages.append(self.ask("search", self.QUERY, page_token=token).json())

        batches = self.ask("searchStream", self.QUERY).json()

        self.assertEqual(len(self.first["results"]), PAGE)
        self.assertGreater(len(pages), 1)
        self.assertEqual(
            [row for page in pages for row in page["results"]],
            [row for batch in batches for row in batch["results"]],
        )

    def test_a_page_that_is_not_the_last_is_one_that_google_knows(self):
        short = {**self.first, "results": self.first["results"][:5]}

        page = read(SearchGoogleAdsResponse, json.dumps(short))

        self.assertEqual(page.next_page_token, self.token)
        self.assertEqual(len(page.results), 5)

    def test_a_page_token_is_good_for_its_query_alone(self):
        self.assert_refused(
            "INVALID_ARGUMENT",
            "request_error",
            "INVALID_PAGE_TOKEN",
            "SELECT campaign.id FROM campaign",
            page_token=self.token,
        )

    def test_a_page_token_ends_after_some_hours(self):
        self.advance(5 * 3_600)

        self.assert_refused(
            "INVALID_ARGUMENT",
            "request_error",
            "EXPIRED_PAGE_TOKEN",
            self.QUERY,
            page_token=self.token,
        )

    def test_nobody_says_how_long_a_page_is(self):
        query = "SELECT campaign.id FROM campaign"
        self.assert_refused(
            "INVALID_ARGUMENT", "request_error", "PAGE_SIZE_NOT_SUPPORTED", query, page_size=100
        )

    def test_an_error_may_follow_good_batches(self):
        control("POST", "/reports", {"platform": "google_ads", "fate": "fails"})

        good, bad = self.ask("searchStream", self.QUERY).json()

        self.assertEqual(len(good["results"]), PAGE)
        self.assert_failure("INTERNAL", "internal_error", "INTERNAL_ERROR", bad["error"])


if __name__ == "__main__":
    unittest.main()

"""TikTok's own SDK against the sandbox: advertisers, what they hold, reports, and refusals."""

import csv
import io
import json
import unittest
import urllib.parse
from decimal import Decimal

from business_api_client import (
    AccountManagementApi,
    AdApi,
    AdgroupApi,
    ApiClient,
    AudienceApi,
    AuthenticationApi,
    CampaignCreationApi,
    Configuration,
    MeasurementApi,
    Oauth2AccessTokenBody,
    ReportingApi,
    ReportTaskCreateBody,
)
from business_api_client.tiktok_business.tiktok_code import NumericErrorCodes
from business_api_client.tiktok_business.tiktok_exceptions import TiktokSDKError

import sandbox
from sandbox import DEADLINE, WEEK, control, entities, figures

# What a sandbox knows when it starts.
APP_ID = "fake-dev-app"
APP_SECRET = "fake-dev-app-secret"
TOKEN = "fake-dev-tiktok-access-token"

ACCOUNT = "7000000000000000001"
OTHER = "7000000000000000002"
MICROS = 1_000_000
# What a value that there is none of looks like.
NOTHING = "-"
METRICS = ["impressions", "clicks", "spend", "conversion", "total_purchase_value"]


def told_by_tiktok(row):
    """A row's metrics: all of them are text, and money is in major units."""
    metrics = row["metrics"]
    revenue = metrics["total_purchase_value"]
    return (
        int(metrics["impressions"]),
        int(metrics["clicks"]),
        Decimal(metrics["spend"]) * MICROS,
        int(metrics["conversion"]),
        0 if revenue == NOTHING else Decimal(revenue) * MICROS,
    )


def as_they_are(row):
    return (
        row["impressions"],
        row["clicks"],
        row["spend_micros"],
        row["conversion_millis"] // 1_000,
        row["revenue_micros"],
    )


class TikTokTest(sandbox.WorldTest):
    """The SDK with the development token, in a world that stands still."""

    def setUp(self):
        super().setUp()
        configuration = Configuration()
        configuration.host = f"{sandbox.URL}/tiktok"
        self.client = ApiClient(configuration)
        self.addCleanup(self.client.rest_client.pool_manager.clear)
        # It is closed when it is collected, which at the end of the program is too late.
        self.addCleanup(self.client.pool.terminate)
        self.campaigns = CampaignCreationApi(self.client)
        self.reports = ReportingApi(self.client)
        self.authentication = AuthenticationApi(self.client)

    def call(self, method, *args, token=TOKEN, **kwargs):
        """What a call of the SDK answers: its data."""
        kwargs.setdefault("_request_timeout", DEADLINE)
        return method(*args, access_token=token, **kwargs)["data"]

    def listed(self, method, account=ACCOUNT, page_size=30, **kwargs):
        """A list to its end."""
        page, found = 0, []
        while True:
            page += 1
            data = self.call(method, account, page=page, page_size=page_size, **kwargs)
            info = data["page_info"]
            self.assertEqual((info["page"], info["page_size"]), (page, page_size))
            found.extend(data["list"])
            if page >= info["total_page"]:
                self.assertEqual(len(found), info["total_number"])
                return found

    def assert_refused(self, code, method, *args, **kwargs):
        with self.assertRaises(TiktokSDKError) as caught:
            method(*args, **kwargs)
        told = str(caught.exception)
        self.assertTrue(told.startswith(f"Error Code: {code}, "), told)
        return told


class AdvertisersAreFound(TikTokTest):
    def test_the_advertisers_of_a_token_are_those_of_the_world(self):
        data = self.call(self.authentication.oauth2_advertiser_get, APP_ID, APP_SECRET)

        told = [(one["advertiser_id"], one["advertiser_name"]) for one in data["list"]]
        known = [(one["id"], one["name"]) for one in sandbox.accounts("tiktok")]
        self.assertEqual(told, known)

    def test_an_advertiser_has_a_currency_and_a_time_zone(self):
        info = AccountManagementApi(self.client).advertiser_info
        fields = ["advertiser_id", "currency", "timezone", "status"]

        data = self.call(info, [ACCOUNT, OTHER], fields=fields)

        told = [(one["advertiser_id"], one["currency"], one["timezone"]) for one in data["list"]]
        known = [
            (one["id"], one["currency"], one["time_zone"]) for one in sandbox.accounts("tiktok")
        ]
        self.assertEqual(told, known)
        self.assertEqual({one["status"] for one in data["list"]}, {"STATUS_ENABLE"})

    def test_an_advertisers_yes_gives_a_token_once(self):
        code = self.consent()
        body = Oauth2AccessTokenBody(app_id=APP_ID, secret=APP_SECRET, auth_code=code)
        redeem = self.authentication.oauth2_access_token

        data = redeem(body=body)["data"]

        self.assertEqual(set(data["advertiser_ids"]), {ACCOUNT, OTHER})
        token = data["access_token"]
        reached = self.call(
            self.authentication.oauth2_advertiser_get, APP_ID, APP_SECRET, token=token
        )
        self.assertEqual(len(reached["list"]), 2)
        self.assert_refused(NumericErrorCodes.ERROR_CODE_AUTH_CODE_ERROR, redeem, body=body)

    def test_a_wrong_secret_gives_nothing(self):
        body = Oauth2AccessTokenBody(app_id=APP_ID, secret="wrong", auth_code=self.consent())

        self.assert_refused(
            NumericErrorCodes.ERROR_CODE_INVALID_PARTNER,
            self.authentication.oauth2_access_token,
            body=body,
        )

    def consent(self):
        """The code that an advertiser's browser comes back with."""
        query = {"app_id": APP_ID, "redirect_uri": "https://app.example/back", "state": "s-1"}
        page = f"{sandbox.URL}/tiktok/portal/auth?{urllib.parse.urlencode(query)}"
        params = sandbox.sent_back(page)
        self.assertEqual(params["state"], "s-1")
        return params["auth_code"]


class ThingsAreListed(TikTokTest):
    def test_campaigns_ad_groups_and_ads_are_those_of_the_world(self):
        """Smart+ stands in lists of its own, and what was deleted is told to those who ask."""
        ad_groups, ads = AdgroupApi(self.client), AdApi(self.client)
        campaigns = self.campaigns
        cases = (
            ("campaign", campaigns.campaign_get, campaigns.smart_plus_campaign_get),
            ("ad_set", ad_groups.adgroup_get, ad_groups.smart_plus_adgroup_get),
            ("ad", ads.ad_get, ads.smart_plus_ad_get),
        )
        words = {"campaign": "campaign", "ad_set": "adgroup", "ad": "ad"}
        for kind, ordinary, smart_plus in cases:
            with self.subTest(kind=kind):
                word = words[kind]
                every = {"secondary_status": f"{word.upper()}_STATUS_ALL"}

                usual = self.listed(ordinary, filtering=every)
                smart = self.listed(smart_plus, filtering=every)

                told = {one[f"{word}_id"]: one[f"{word}_name"] for one in usual + smart}
                known = entities("tiktok", ACCOUNT, kind)
                self.assertEqual(told, {id: one["name"] for id, one in known.items()})
                self.assertEqual(len(told), len(usual) + len(smart))
                self.assertTrue(smart)

    def test_audiences_and_pixels_are_those_of_the_world(self):
        list_audiences = AudienceApi(self.client).dmp_custom_audience_list
        list_pixels = MeasurementApi(self.client).pixel_list

        audiences = self.listed(list_audiences, page_size=3)
        pixels = self.call(list_pixels, ACCOUNT, page_size=20)["pixels"]

        told = {one["audience_id"]: one["name"] for one in audiences}
        known = entities("tiktok", ACCOUNT, "audience")
        self.assertEqual(told, {id: one["name"] for id, one in known.items()})
        told = {one["pixel_id"] for one in pixels}
        self.assertEqual(told, set(entities("tiktok", ACCOUNT, "pixel")))

    def test_what_was_deleted_is_hidden_unless_asked_for(self):
        deleted = {"secondary_status": "CAMPAIGN_STATUS_DELETE"}

        shown = {one["campaign_id"] for one in self.listed(self.campaigns.campaign_get)}
        hidden = self.listed(self.campaigns.campaign_get, filtering=deleted)

        self.assertTrue(hidden)
        self.assertFalse(shown & {one["campaign_id"] for one in hidden})
        known = entities("tiktok", ACCOUNT, "campaign")
        for one in hidden:
            self.assertEqual(known[one["campaign_id"]]["status"], "deleted")
            self.assertEqual(one["secondary_status"], "CAMPAIGN_STATUS_DELETE")

    def test_a_budget_is_a_number_in_major_units_and_times_are_of_utc(self):
        known = entities("tiktok", ACCOUNT, "campaign")
        fields = ["campaign_id", "budget", "budget_mode", "create_time"]

        for one in self.listed(self.campaigns.campaign_get, fields=fields):
            truth = known[one["campaign_id"]]
            micros = truth["daily_budget_micros"] or truth["lifetime_budget_micros"] or 0
            self.assertEqual(one["budget"] * MICROS, micros)
            created = truth["created_at"].replace("T", " ").removesuffix("Z")
            self.assertEqual(one["create_time"], created)
            self.assertEqual(set(one), set(fields))

    def test_only_the_ads_of_some_campaigns_are_listed(self):
        known = entities("tiktok", ACCOUNT, "ad")
        campaign = known[min(known)]["campaign_id"]
        only = {"campaign_ids": [campaign], "secondary_status": "AD_STATUS_ALL"}

        ads = self.listed(AdApi(self.client).ad_get, filtering=only)

        told = {one["ad_id"]: one["adgroup_id"] for one in ads}
        below = {
            id: one["parent_id"] for id, one in known.items() if one["campaign_id"] == campaign
        }
        self.assertEqual(told, below)

    def test_an_advertiser_without_anything_has_no_pages(self):
        nothing = {"campaign_ids": ["404"]}

        data = self.call(self.campaigns.campaign_get, ACCOUNT, filtering=nothing)

        self.assertEqual(data["list"], [])
        self.assertEqual(data["page_info"]["total_page"], 0)


class ReportsAreRead(TikTokTest):
    LEVELS = (
        ("account", "AUCTION_ADVERTISER", "advertiser_id"),
        ("campaign", "AUCTION_CAMPAIGN", "campaign_id"),
        ("ad_set", "AUCTION_ADGROUP", "adgroup_id"),
        ("ad", "AUCTION_AD", "ad_id"),
    )

    def question(self, data_level, id_field, time="stat_time_day", **changes):
        since, until = WEEK
        return {
            "advertiser_id": ACCOUNT,
            "service_type": "AUCTION",
            "data_level": data_level,
            "dimensions": [id_field, time],
            "metrics": METRICS,
            "start_date": since,
            "end_date": until,
            **changes,
        }

    def rows(self, question, page_size=100):
        """A report to its end."""
        page, found = 0, []
        while True:
            page += 1
            paging = {"page": page, "page_size": page_size}
            data = self.call(self.reports.report_integrated_get, "BASIC", **question, **paging)
            found.extend(data["list"])
            if page >= data["page_info"]["total_page"]:
                return found

    def test_the_figures_of_each_level_and_day_are_those_of_the_world(self):
        for level, data_level, id_field in self.LEVELS:
            with self.subTest(level=level):
                rows = self.rows(self.question(data_level, id_field))

                told = {
                    (
                        row["dimensions"][id_field],
                        row["dimensions"]["stat_time_day"].removesuffix(" 00:00:00"),
                    ): told_by_tiktok(row)
                    for row in rows
                }
                known = figures("tiktok", ACCOUNT, level)
                self.assertEqual(told, {key: as_they_are(row) for key, row in known.items()})
                self.assertEqual(len(told), len(rows))

    def test_hours_are_those_of_the_advertiser_and_of_one_day(self):
        day = WEEK[0]
        question = self.question("AUCTION_CAMPAIGN", "campaign_id", "stat_time_hour", end_date=day)

        rows = self.rows(question)

        told = {}
        for row in rows:
            date, time = row["dimensions"]["stat_time_hour"].split()
            key = (row["dimensions"]["campaign_id"], date, int(time.split(":")[0]))
            told[key] = told_by_tiktok(row)
        known = figures("tiktok", ACCOUNT, "campaign", granularity="hour", to=day)
        self.assertEqual(told, {key: as_they_are(row) for key, row in known.items()})
        two_days = {**question, "end_date": WEEK[1]}
        self.assert_refused(40002, self.rows, two_days)

    def test_a_value_that_there_is_none_of_is_a_dash_and_no_zero(self):
        question = self.question("AUCTION_CAMPAIGN", "campaign_id")
        question["metrics"] = [*METRICS, "objective_type"]

        rows = self.rows(question)

        for row in rows:
            metrics = row["metrics"]
            is_for_leads = metrics["objective_type"] == "LEAD_GENERATION"
            self.assertEqual(metrics["total_purchase_value"] == NOTHING, is_for_leads)
        self.assertIn(NOTHING, {row["metrics"]["total_purchase_value"] for row in rows})

    def test_only_some_campaigns_are_told(self):
        known = figures("tiktok", ACCOUNT, "campaign")
        some = sorted({id for id, _ in known})[:3]
        condition = {
            "field_name": "campaign_ids",
            "filter_type": "IN",
            "filter_value": json.dumps(some),
        }

        rows = self.rows(self.question("AUCTION_CAMPAIGN", "campaign_id", filtering=[condition]))

        self.assertEqual({row["dimensions"]["campaign_id"] for row in rows}, set(some))

    def test_questions_that_cannot_be_answered(self):
        cases = (
            {"metrics": [*METRICS, "nothing"]},
            {"start_date": "2026-10-01"},
            {"dimensions": ["ad_id", "stat_time_day"]},
            {"data_level": "NOTHING"},
        )
        for changes in cases:
            with self.subTest(changes=changes):
                question = {**self.question("AUCTION_CAMPAIGN", "campaign_id"), **changes}
                self.assert_refused(NumericErrorCodes.ERROR_CODE_PARAM_ERROR, self.rows, question)


class ReportsAreMadeInTheBackground(TikTokTest):
    def begin(self):
        since, until = WEEK
        body = ReportTaskCreateBody(
            advertiser_id=ACCOUNT,
            report_type="BASIC",
            data_level="AUCTION_AD",
            dimensions=["ad_id", "stat_time_day"],
            metrics=METRICS,
            start_date=since,
            end_date=until,
        )
        return self.call(self.reports.report_task_create, body=body)["task_id"]

    def status(self, task):
        return self.call(self.reports.report_task_check, task, ACCOUNT)["status"]

    def download(self, task):
        """What the SDK has no method for."""
        answer = self.client.rest_client.GET(
            f"{sandbox.URL}/tiktok/open_api/v1.3/report/task/download/",
            headers={"Access-Token": TOKEN},
            query_params={"advertiser_id": ACCOUNT, "task_id": task},
            _request_timeout=DEADLINE,
        )
        return answer.data.decode()

    def test_a_report_is_made_step_by_step(self):
        task = self.begin()
        seen = []
        for seconds in (0, 3, 7):
            self.advance(seconds)
            seen.append(self.status(task))

        self.assertEqual(seen, ["QUEUING", "PROCESSING", "SUCCESS"])

    def test_its_rows_are_those_of_the_world(self):
        task = self.begin()
        seen = self.advance(10)

        text = self.download(task)

        told = {}
        for row in csv.DictReader(io.StringIO(text)):
            key = (row["ad_id"], row["stat_time_day"].removesuffix(" 00:00:00"))
            told[key] = told_by_tiktok({"metrics": row})
        known = figures("tiktok", ACCOUNT, "ad", seen=seen)
        self.assertEqual(told, {key: as_they_are(row) for key, row in known.items()})

    def test_it_cannot_be_fetched_before_it_is_done(self):
        answer = json.loads(self.download(self.begin()))

        self.assertEqual(answer["code"], NumericErrorCodes.ERROR_CODE_TASK_NOT_READY)

    def test_a_report_may_fail(self):
        control("POST", "/reports", {"platform": "tiktok", "fate": "fails"})
        task = self.begin()
        self.advance(60)

        self.assertEqual(self.status(task), "FAILED")

    def test_a_task_that_there_is_not(self):
        self.assert_refused(NumericErrorCodes.ERROR_CODE_GENERAL_TASK_ERROR, self.status, "404")


class CallsAreRefused(TikTokTest):
    def read(self, token=TOKEN, account=ACCOUNT):
        return self.call(self.campaigns.campaign_get, account, token=token)

    def test_a_token_that_does_not_work(self):
        spent = [
            {"platform": "tiktok", "token": "fake-expired", "state": "expired"},
            {"platform": "tiktok", "token": "fake-revoked", "state": "revoked"},
        ]
        control("POST", "/tokens", {"platform": "tiktok", "tokens": spent})
        cases = (
            ("", NumericErrorCodes.ERROR_CODE_EMPTY_ACCESS_TOKEN),
            ("nobody's", NumericErrorCodes.ERROR_CODE_INVALID_ACCESS_TOKEN),
            ("fake-revoked", NumericErrorCodes.ERROR_CODE_INVALID_ACCESS_TOKEN),
            ("fake-expired", NumericErrorCodes.ERROR_CODE_ACCESS_TOKEN_EXPIRE),
        )
        for token, code in cases:
            with self.subTest(token=token):
                self.assert_refused(code, self.read, token)

    def test_an_advertiser_that_is_not_the_tokens(self):
        narrow = {"platform": "tiktok", "token": "narrow", "accounts": [ACCOUNT]}
        control("POST", "/tokens", {"platform": "tiktok", "tokens": [narrow]})

        self.read("narrow")

        other = NumericErrorCodes.ERROR_CODE_INVALID_CORE_USER
        self.assert_refused(other, self.read, "narrow", OTHER)
        unknown = NumericErrorCodes.ERROR_CODE_PERMISSION_ERROR
        self.assert_refused(unknown, self.read, TOKEN, "404")

    def test_too_many_calls_are_told_by_a_message_alone(self):
        control("POST", "/limits", {"platform": "tiktok", "account": ACCOUNT, "refuse": 1})

        told = self.assert_refused(NumericErrorCodes.ERROR_CODE_REQUEST_TOO_FREQUENT, self.read)

        self.assertIn("QPS", told)
        self.read()


if __name__ == "__main__":
    unittest.main()

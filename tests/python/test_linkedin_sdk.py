"""LinkedIn's own client (a beta) against the sandbox: tokens, lists, figures, and refusals."""

import unittest
from decimal import Decimal
from unittest import mock

from linkedin_api.clients.auth.client import AuthClient
from linkedin_api.clients.auth.utils import oauth
from linkedin_api.clients.restli.client import RestliClient
from linkedin_api.common import constants

import sandbox
from sandbox import WEEK, control, entities, figures

# What a sandbox knows when it starts.
APP = ("fake-dev-app", "fake-dev-app-secret")
TOKEN = "fake-dev-linkedin-access-token"
REFRESH_TOKEN = "fake-dev-linkedin-refresh-token"

VERSION = "202609"
ACCOUNT = "500000001"
MICROS = 1_000_000
DAY_S = 24 * 60 * 60
BACK = "https://app.example/back"
# What each of the world's kinds is called, where it is listed, and what its URNs begin with.
PIVOTS = {
    "account": ("ACCOUNT", "urn:li:sponsoredAccount:"),
    "campaign": ("CAMPAIGN_GROUP", "urn:li:sponsoredCampaignGroup:"),
    "ad_set": ("CAMPAIGN", "urn:li:sponsoredCampaign:"),
    "ad": ("CREATIVE", "urn:li:sponsoredCreative:"),
}
EVERY_STATUS = [
    "ACTIVE",
    "PAUSED",
    "ARCHIVED",
    "COMPLETED",
    "CANCELED",
    "DRAFT",
    "PENDING_DELETION",
    "REMOVED",
]
FIELDS = [
    "dateRange",
    "pivotValues",
    "impressions",
    "clicks",
    "costInLocalCurrency",
    "costInUsd",
    "externalWebsiteConversions",
    "conversionValueInLocalCurrency",
    "oneClickLeads",
]


def bare(urn):
    """The number in a URN."""
    return urn.rsplit(":", 1)[-1]


def day(text):
    """A day as LinkedIn wants it, of `2026-11-10`."""
    year, month, number = (int(part) for part in text.split("-"))
    return {"year": year, "month": month, "day": number}


def text_of(day):
    return f"{day['year']:04}-{day['month']:02}-{day['day']:02}"


def told_by_linkedin(row):
    """A row's figures: counts are numbers, money is text with many places."""
    return (
        row["impressions"],
        row["clicks"],
        Decimal(row["costInLocalCurrency"]) * MICROS,
        row["externalWebsiteConversions"],
        Decimal(row["conversionValueInLocalCurrency"]) * MICROS,
        row["oneClickLeads"],
    )


def as_they_are(row):
    return (
        row["impressions"],
        row["clicks"],
        row["spend_micros"],
        (row["conversion_millis"] - row["lead_millis"]) // 1_000,
        row["revenue_micros"],
        row["lead_millis"] // 1_000,
    )


class LinkedInTest(sandbox.WorldTest):
    """The client with the development token, in a world that stands still."""

    def setUp(self):
        super().setUp()
        base = f"{sandbox.URL}/linkedin"
        self.enterContext(mock.patch.object(constants, "VERSIONED_BASE_URL", f"{base}/rest"))
        self.enterContext(mock.patch.object(constants, "OAUTH_BASE_URL", f"{base}/oauth/v2"))
        self.enterContext(mock.patch.object(oauth, "OAUTH_BASE_URL", f"{base}/oauth/v2"))
        self.client = RestliClient()
        self.addCleanup(self.client.session.close)

    def signed_in(self, app=APP):
        client = AuthClient(*app, redirect_url=BACK)
        self.addCleanup(client.session.close)
        return client

    def find(self, path, finder="search", params=None, token=TOKEN, version=VERSION):
        keys = {"id": ACCOUNT} if "{id}" in path else None
        return self.client.finder(
            resource_path=path,
            finder_name=finder,
            path_keys=keys,
            query_params=params or {},
            access_token=token,
            version_string=version,
        )

    def listed(self, path, finder="search", size=30, **params):
        """A list to its end; the client drops what leads there."""
        found, paging = [], {"pageSize": size}
        while True:
            answer = self.find(path, finder, {**params, **paging})
            self.assertEqual(answer.status_code, 200, answer.response.text)
            found.extend(answer.elements)
            metadata = answer.response.json()["metadata"]
            if "nextPageToken" not in metadata:
                return found
            paging["pageToken"] = metadata["nextPageToken"]

    def assert_refused(self, answer, status, **told):
        self.assertEqual(answer.status_code, status)
        body = answer.response.json()
        self.assertEqual(body["status"], status)
        self.assertEqual({name: body.get(name) for name in told}, told)
        self.assertTrue(answer.headers["x-li-uuid"])
        return body


class TokensAreGiven(LinkedInTest):
    def test_a_persons_yes_gives_a_token_that_can_be_refreshed_for_a_year(self):
        app = self.signed_in()
        page = app.generate_member_auth_url(scopes=["r_ads", "r_ads_reporting"], state="s-1")
        back = sandbox.sent_back(page)
        self.assertEqual(back["state"], "s-1")

        given = app.exchange_auth_code_for_access_token(back["code"])

        self.assertEqual(given.status_code, 200)
        self.assertEqual(given.expires_in, 60 * DAY_S)
        self.assertEqual(given.refresh_token_expires_in, 365 * DAY_S)
        self.assertEqual(given.scope, "r_ads,r_ads_reporting")
        accounts = self.find("/adAccounts", token=given.access_token)
        self.assertEqual(len(accounts.elements), len(sandbox.accounts("linkedin")))
        again = app.exchange_auth_code_for_access_token(back["code"])
        self.assertEqual((again.status_code, again.access_token), (400, None))

    def test_refreshing_does_not_extend_the_year(self):
        app = self.signed_in()
        page = app.generate_member_auth_url(scopes=["r_ads"])
        given = app.exchange_auth_code_for_access_token(sandbox.sent_back(page)["code"])
        self.advance(340 * DAY_S)

        refreshed = app.exchange_refresh_token_for_access_token(given.refresh_token)

        self.assertEqual(refreshed.refresh_token, given.refresh_token)
        self.assertEqual(refreshed.refresh_token_expires_in, 25 * DAY_S)
        self.assertEqual(refreshed.expires_in, 25 * DAY_S)
        self.advance(25 * DAY_S)
        late = app.exchange_refresh_token_for_access_token(given.refresh_token)
        self.assertEqual((late.status_code, late.access_token), (400, None))

    def test_a_token_can_be_looked_at(self):
        app = self.signed_in()
        given = app.exchange_refresh_token_for_access_token(REFRESH_TOKEN)

        fresh = app.introspect_access_token(given.access_token)
        self.advance(61 * DAY_S)
        old = app.introspect_access_token(given.access_token)

        self.assertEqual((fresh.active, fresh.status, fresh.auth_type), (True, "active", "3L"))
        self.assertEqual(fresh.expires_at - fresh.created_at, 60 * DAY_S)
        self.assertEqual((old.active, old.status), (False, "expired"))
        self.assertFalse(app.introspect_access_token("nobody's").active)

    def test_another_secret_gives_nothing(self):
        app = self.signed_in((APP[0], "wrong"))

        refused = app.exchange_refresh_token_for_access_token(REFRESH_TOKEN)

        self.assertEqual((refused.status_code, refused.access_token), (401, None))


class ThingsAreListed(LinkedInTest):
    def test_the_accounts_of_a_token_are_those_of_the_world(self):
        accounts = self.listed("/adAccounts", size=1, search={"status": {"values": ["ACTIVE"]}})

        told = [(str(one["id"]), one["name"], one["currency"]) for one in accounts]
        known = [(one["id"], one["name"], one["currency"]) for one in sandbox.accounts("linkedin")]
        self.assertEqual(told, known)

    def test_one_account_is_found_by_its_id(self):
        answer = self.client.get(
            resource_path="/adAccounts/{id}",
            path_keys={"id": int(ACCOUNT)},
            access_token=TOKEN,
            version_string=VERSION,
        )

        self.assertEqual(answer.entity["id"], int(ACCOUNT))
        self.assertEqual(answer.entity["servingStatuses"], ["RUNNABLE"])

    def test_only_the_members_that_are_named_are_told(self):
        answer = self.client.get(
            resource_path="/adAccounts/{id}",
            path_keys={"id": int(ACCOUNT)},
            query_params={"fields": "id,currency"},
            access_token=TOKEN,
            version_string=VERSION,
        )
        campaigns = self.listed("/adAccounts/{id}/adCampaigns", fields="id,name")

        self.assertEqual(answer.entity, {"id": int(ACCOUNT), "currency": "JPY"})
        self.assertEqual({frozenset(one) for one in campaigns}, {frozenset(("id", "name"))})

    def test_the_users_accounts_go_on_by_numbers(self):
        found, start = [], 0
        while True:
            page = self.find("/adAccountUsers", "authenticatedUser", {"start": start, "count": 1})
            found.extend(bare(one["account"]) for one in page.elements)
            self.assertEqual((page.paging.start, page.paging.count), (start, 1))
            if not page.response.json()["paging"]["links"]:
                break
            start += 1

        self.assertEqual(found, [one["id"] for one in sandbox.accounts("linkedin")])
        self.assertEqual(page.paging.total, len(found))

    def test_groups_and_campaigns_are_those_of_the_world_with_all_their_states(self):
        cases = (
            ("campaign", "/adAccounts/{id}/adCampaignGroups", "account"),
            ("ad_set", "/adAccounts/{id}/adCampaigns", "campaignGroup"),
        )
        for kind, path, parent in cases:
            with self.subTest(kind=kind):
                things = self.listed(path, search={"status": {"values": EVERY_STATUS}})

                told = {str(one["id"]): (one["name"], bare(one[parent])) for one in things}
                known = entities("linkedin", ACCOUNT, kind)
                truth = {id: (one["name"], one["parent_id"]) for id, one in known.items()}
                self.assertEqual(told, truth)
                removed = {str(one["id"]) for one in things if one["status"] == "REMOVED"}
                deleted = {id for id, one in known.items() if one["status"] == "deleted"}
                self.assertEqual(removed, deleted)
                self.assertEqual(len(told), len(things))

    def test_creatives_are_those_of_the_world_and_have_urns_for_ids(self):
        creatives = self.listed("/adAccounts/{id}/creatives", "criteria", size=50)

        told = {bare(one["id"]): bare(one["campaign"]) for one in creatives}
        known = entities("linkedin", ACCOUNT, "ad")
        self.assertEqual(told, {id: one["parent_id"] for id, one in known.items()})
        self.assertTrue(creatives[0]["id"].startswith("urn:li:sponsoredCreative:"))

    def test_budgets_are_text_in_major_units_and_times_are_milliseconds(self):
        known = entities("linkedin", ACCOUNT, "campaign")

        for one in self.listed("/adAccounts/{id}/adCampaignGroups"):
            truth = known[str(one["id"])]
            budget = one.get("dailyBudget")
            told = budget and Decimal(budget["amount"]) * MICROS
            self.assertEqual(told, truth["daily_budget_micros"])
            stamps = one["changeAuditStamps"]
            self.assertGreaterEqual(stamps["lastModified"]["time"], stamps["created"]["time"])
            self.assertGreater(stamps["created"]["time"], 1_700_000_000_000)

    def test_creatives_of_so_many_campaigns_that_the_query_is_sent_as_a_body(self):
        known = entities("linkedin", ACCOUNT, "ad")
        campaigns = sorted({one["parent_id"] for one in known.values()})
        urns = [f"urn:li:sponsoredCampaign:{id}" for id in campaigns]

        answer = self.find(
            "/adAccounts/{id}/creatives", "criteria", {"campaigns": urns * 2, "pageSize": 100}
        )

        self.assertEqual(answer.response.request.method, "POST")
        self.assertEqual(answer.status_code, 200, answer.response.text)
        self.assertEqual(len(answer.elements), min(100, len(known)))


class FiguresAreRead(LinkedInTest):
    def ask(self, **changes):
        since, until = WEEK
        return self.find(
            "/adAnalytics",
            "analytics",
            {
                "pivot": {"value": "CAMPAIGN"},
                "timeGranularity": {"value": "DAILY"},
                "dateRange": {"start": day(since), "end": day(until)},
                "accounts": [f"urn:li:sponsoredAccount:{ACCOUNT}"],
                "fields": ",".join(FIELDS),
                **changes,
            },
        )

    def test_the_figures_of_each_level_and_day_are_those_of_the_world(self):
        for level, (pivot, prefix) in PIVOTS.items():
            with self.subTest(level=level):
                answer = self.ask(pivot={"value": pivot})

                told = {}
                for row in answer.elements:
                    [urn] = row["pivotValues"]
                    self.assertTrue(urn.startswith(prefix), urn)
                    date = row["dateRange"]["start"]
                    self.assertEqual(row["dateRange"]["end"], date)
                    told[bare(urn), text_of(date)] = told_by_linkedin(row)
                known = figures("linkedin", ACCOUNT, level)
                self.assertEqual(told, {key: as_they_are(row) for key, row in known.items()})
                self.assertEqual(len(told), len(answer.elements))

    def test_what_its_paging_says_means_nothing(self):
        answer = self.ask(pivot={"value": "CREATIVE"})

        self.assertEqual((answer.paging.start, answer.paging.count), (0, 10))
        self.assertGreater(len(answer.elements), 10)

    def test_without_fields_there_are_impressions_and_clicks_alone(self):
        answer = self.ask(fields=None)

        self.assertEqual(set(answer.elements[0]), {"impressions", "clicks"})

    def test_a_month_is_the_sum_of_its_days(self):
        answer = self.ask(
            pivot={"value": "ACCOUNT"},
            timeGranularity={"value": "MONTHLY"},
            dateRange={"start": day("2026-10-01"), "end": day("2026-10-31")},
        )

        [row] = answer.elements
        known = figures("linkedin", ACCOUNT, "ad", **{"from": "2026-10-01", "to": "2026-10-31"})
        self.assertEqual(row["impressions"], sandbox.total(known, "impressions"))
        spend = Decimal(row["costInLocalCurrency"]) * MICROS
        self.assertEqual(spend, sandbox.total(known, "spend_micros"))

    def test_questions_that_cannot_be_answered(self):
        cases = (
            {"timeGranularity": {"value": "HOURLY"}},
            {"fields": ",".join([*FIELDS, "nothing"])},
            {"fields": ",".join(FIELDS * 3)},
            {"accounts": None},
            {"pivot": {"value": "NOTHING"}},
        )
        for changes in cases:
            with self.subTest(changes=changes):
                answer = self.ask(**changes)
                kind = "com.linkedin.common.error.BadRequest"
                body = self.assert_refused(answer, 400, errorDetailType=kind)
                self.assertEqual(len(body["errorDetails"]["inputErrors"]), 1)


class CallsAreRefused(LinkedInTest):
    def test_a_token_that_does_not_work(self):
        spent = [
            {"platform": "linkedin", "token": "fake-expired", "state": "expired"},
            {"platform": "linkedin", "token": "fake-revoked", "state": "revoked"},
        ]
        control("POST", "/tokens", {"platform": "linkedin", "tokens": spent})
        cases = (
            ("nobody's", 65600, "INVALID_ACCESS_TOKEN"),
            ("fake-expired", 65602, "EXPIRED_ACCESS_TOKEN"),
            ("fake-revoked", 65601, "REVOKED_ACCESS_TOKEN"),
        )
        for token, number, code in cases:
            with self.subTest(token=token):
                answer = self.find("/adAccounts", token=token)
                self.assert_refused(answer, 401, serviceErrorCode=number, code=code)

    def test_a_token_without_the_scope(self):
        narrow = {"platform": "linkedin", "token": "narrow", "scopes": ["r_ads_reporting"]}
        control("POST", "/tokens", {"platform": "linkedin", "tokens": [narrow]})

        answer = self.find("/adAccounts", token="narrow")

        self.assert_refused(answer, 403, serviceErrorCode=100, code="ACCESS_DENIED")

    def test_a_version_that_went(self):
        answer = self.find("/adAccounts", version="202401")

        self.assert_refused(answer, 426, code="NONEXISTENT_VERSION")

    def test_an_account_that_is_not_there(self):
        answer = self.client.get(
            resource_path="/adAccounts/{id}",
            path_keys={"id": 404},
            access_token=TOKEN,
            version_string=VERSION,
        )

        self.assert_refused(answer, 404, code="NOT_FOUND")

    def test_too_many_calls_say_nothing_of_when_to_come_back(self):
        control("POST", "/limits", {"platform": "linkedin", "account": ACCOUNT, "refuse": 1})

        answer = self.find("/adAccounts/{id}/adCampaigns")

        self.assert_refused(answer, 429, serviceErrorCode=101, code="TOO_MANY_REQUESTS")
        self.assertNotIn("retry-after", answer.headers)


if __name__ == "__main__":
    unittest.main()

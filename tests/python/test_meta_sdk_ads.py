"""Meta's own SDK against the sandbox: ad accounts, what they hold, batches, Pages, and refusals."""

import json
import unittest
from datetime import datetime

from facebook_business.adobjects.ad import Ad
from facebook_business.adobjects.adaccount import AdAccount
from facebook_business.adobjects.adset import AdSet
from facebook_business.adobjects.campaign import Campaign
from facebook_business.adobjects.page import Page
from facebook_business.adobjects.user import User
from facebook_business.api import FacebookAdsApi
from facebook_business.exceptions import FacebookRequestError

import sandbox
from meta import ACCOUNT, TOKEN, AdsTest, api_of, every_state
from sandbox import NOON, control, entities

PUT_AWAY = ("archived", "deleted")


def pages(path, params):
    """The pages of a list as they come: the SDK's cursor takes an empty one for the end."""
    while True:
        page = FacebookAdsApi.get_default_api().call("GET", path, params=params).json()
        yield page["data"]
        if "next" not in page["paging"]:
            return
        params = {**params, "after": page["paging"]["cursors"]["after"]}


def known_words(of, name):
    """The values of one of the SDK's enumerations."""
    return {value for key, value in vars(getattr(of, name)).items() if not key.startswith("_")}


class AccountsAreRead(AdsTest):
    def test_the_accounts_of_a_token_are_those_of_the_world(self):
        fields = ["id", "account_id", "name", "account_status", "currency", "timezone_name"]

        accounts = User("me").get_ad_accounts(fields=fields, params={"limit": 1})

        told = [
            (one["account_id"], one["name"], one["currency"], one["timezone_name"])
            for one in accounts
        ]
        known = [
            (one["id"], one["name"], one["currency"], one["time_zone"])
            for one in sandbox.accounts("meta")
        ]
        self.assertEqual(told, known)

    def test_an_account_has_its_prefix_in_its_id_alone(self):
        account = self.account.api_get(fields=["account_id", "account_status", "amount_spent"])

        self.assertEqual(account["id"], f"act_{ACCOUNT}")
        self.assertEqual(account["account_id"], ACCOUNT)
        self.assertEqual(account["account_status"], 1)
        self.assertTrue(account["amount_spent"].isdigit())

    def test_a_disabled_account_says_why(self):
        change = {"platform": "meta", "id": ACCOUNT, "account_status": "disabled"}
        control("POST", "/world", change)

        account = self.account.api_get(fields=["account_status", "disable_reason"])

        self.assertEqual((account["account_status"], account["disable_reason"]), (2, 1))


class ThingsAreListed(AdsTest):
    def test_campaigns_are_paged_to_their_end_with_all_their_states(self):
        known = entities("meta", ACCOUNT, "campaign")
        fields = ["id", "name", "status", "effective_status", "daily_budget", "lifetime_budget"]

        listed = self.account.get_campaigns(
            fields=fields, params={"limit": 7, "filtering": every_state("campaign")}
        )

        told = {one["id"]: one for one in listed}
        self.assertEqual(set(told), set(known))
        for campaign in told.values():
            truth = known[campaign["id"]]
            self.assertEqual(campaign["name"], truth["name"])
            cents = truth["daily_budget_micros"] and str(truth["daily_budget_micros"] // 10_000)
            self.assertEqual(campaign.get("daily_budget"), cents)
            is_deleted = campaign["effective_status"] == "DELETED"
            self.assertEqual(is_deleted, truth["effective"] == "deleted")

    def test_what_is_archived_or_deleted_is_hidden_unless_asked_for(self):
        known = entities("meta", ACCOUNT, "campaign")

        listed = self.account.get_campaigns(fields=["id"], params={"limit": 500})

        shown = {id for id, one in known.items() if one["effective"] not in PUT_AWAY}
        self.assertEqual({one["id"] for one in listed}, shown)
        self.assertLess(len(shown), len(known))

    def test_an_empty_page_is_not_the_end(self):
        last = max(entities("meta", ACCOUNT, "campaign"), key=int)
        only = [{"field": "id", "operator": "IN", "value": [last]}, *every_state("campaign")]

        listed = list(pages((f"act_{ACCOUNT}", "campaigns"), {"limit": 10, "filtering": only}))

        self.assertEqual([len(page) for page in listed[:-1]], [0] * (len(listed) - 1))
        self.assertGreater(len(listed), 1)
        self.assertEqual([one["id"] for one in listed[-1]], [last])

    def test_ad_sets_and_ads_name_what_they_stand_below(self):
        kinds = (
            ("ad_set", "adset", self.account.get_ad_sets, "campaign_id"),
            ("ad", "ad", self.account.get_ads, "adset_id"),
        )
        for kind, word, lister, parent in kinds:
            with self.subTest(kind=kind):
                known = entities("meta", ACCOUNT, kind)
                fields = ["id", "name", "campaign_id", parent]
                params = {"limit": 30, "filtering": every_state(word)}

                listed = lister(fields=fields, params=params)

                told = {one["id"]: (one["name"], one["campaign_id"], one[parent]) for one in listed}
                truth = {
                    id: (one["name"], one["campaign_id"], one["parent_id"])
                    for id, one in known.items()
                }
                self.assertEqual(told, truth)

    def test_every_word_for_a_state_or_a_purpose_is_one_that_the_sdk_knows(self):
        cases = (
            (self.account.get_campaigns, "campaign", Campaign, {"objective": "Objective"}),
            (self.account.get_ad_sets, "adset", AdSet, {"optimization_goal": "OptimizationGoal"}),
            (self.account.get_ads, "ad", Ad, {}),
        )
        for lister, word, known, others in cases:
            words = {"effective_status": "EffectiveStatus", "status": "Status", **others}
            params = {"limit": 500, "filtering": every_state(word)}

            listed = list(lister(fields=list(words), params=params))

            for field, name in words.items():
                with self.subTest(of=word, field=field):
                    self.assertLessEqual({one[field] for one in listed}, known_words(known, name))

    def test_an_ads_creative_is_told_inside_it(self):
        ads = self.account.get_ads(fields=["id", "creative{id,name}"], params={"limit": 3})

        creatives = entities("meta", ACCOUNT, "creative")
        for ad in ads[:3]:
            creative = ad["creative"]
            self.assertEqual(creative["name"], creatives[creative["id"]]["name"])
            self.assertEqual(creatives[creative["id"]]["parent_id"], ad["id"])

    def test_only_what_was_changed_since_is_listed(self):
        changed = sorted(entities("meta", ACCOUNT, "campaign"))[3]
        since = {
            "field": "campaign.updated_time",
            "operator": "GREATER_THAN",
            "value": int(datetime.fromisoformat(NOON).timestamp()),
        }
        self.advance(600)
        control("POST", "/world", {"platform": "meta", "id": changed, "name": "Änderung"})

        listed = self.account.get_campaigns(
            fields=["name", "updated_time"], params={"filtering": [since]}
        )

        # The time has the account's offset, without a colon.
        told = [(one["id"], one["name"], one["updated_time"]) for one in listed]
        self.assertEqual(told, [(changed, "Änderung", "2026-11-20T07:10:00-0500")])


class BatchesAreAnswered(AdsTest):
    def setUp(self):
        super().setUp()
        self.batch = FacebookAdsApi.get_default_api().new_batch()
        self.good, self.bad = [], []

    def add(self, lister, **options):
        lister(batch=self.batch, success=self.good.append, failure=self.bad.append, **options)

    def test_each_call_has_an_answer_of_its_own(self):
        known = entities("meta", ACCOUNT, "campaign")
        ids = sorted(known)[:40]
        for id in ids:
            self.add(Campaign(id).api_get, fields=["name"])
        self.add(self.account.get_campaigns, fields=["id"], params={"limit": 3})
        self.add(Campaign("404").api_get, fields=["name"])

        left = self.batch.execute()

        self.assertIsNone(left)
        names = [one.json()["name"] for one in self.good[:40]]
        self.assertEqual(names, [known[id]["name"] for id in ids])
        self.assertIn("paging", self.good[40].json())
        [refused] = self.bad
        self.assertEqual(refused.status(), 400)
        error = refused.json()["error"]
        self.assertEqual((error["code"], error["error_subcode"]), (100, 33))

    def test_usage_is_told_inside_the_answers(self):
        self.add(self.account.get_campaigns, fields=["id"])

        self.batch.execute()

        [answer] = self.good
        headers = {one["name"]: one["value"] for one in answer.headers()}
        usage = json.loads(headers["X-Business-Use-Case-Usage"])
        self.assertEqual(usage[ACCOUNT][0]["type"], "ads_management")

    def test_fifty_calls_are_the_most(self):
        for _ in range(51):
            self.add(self.account.api_get, fields=["id"])

        with self.assertRaises(FacebookRequestError) as caught:
            self.batch.execute()

        self.assertIn("50", caught.exception.api_error_message())
        self.assertEqual((self.good, self.bad), ([], []))


class CallsAreRefused(AdsTest):
    def read(self, api):
        return AdAccount(f"act_{ACCOUNT}", api=api).api_get(fields=["name"])

    def test_a_call_without_proof_or_with_another_secrets(self):
        for app_secret in (None, "another secret"):
            with self.subTest(app_secret=app_secret):
                error = self.assert_refused(100, None, self.read, api_of(app_secret=app_secret))
                self.assertIn("appsecret_proof", error.api_error_message())

    def test_a_token_that_is_spent(self):
        for state, subcode in (("expired", 463), ("revoked", 458), ("password_changed", 460)):
            with self.subTest(state=state):
                control("POST", "/tokens", {"tokens": [{"token": "spent", "state": state}]})
                self.assert_refused(190, subcode, self.read, api_of("spent"))

    def test_an_account_that_the_token_does_not_reach(self):
        token = {"token": "narrow", "accounts": ["1000000000002"], "scopes": ["ads_read"]}
        control("POST", "/tokens", {"tokens": [token]})
        narrow = api_of("narrow")

        reached = User("me", api=narrow).get_ad_accounts(fields=["account_id"])

        self.assertEqual([one["account_id"] for one in reached], ["1000000000002"])
        self.assert_refused(200, None, self.read, narrow)

    def test_a_field_that_is_not_there(self):
        error = self.assert_refused(100, None, self.account.api_get, fields=["nothing"])
        self.assertIn("nonexisting field (nothing)", error.api_error_message())

    def test_an_account_whose_calls_are_used_up_says_for_how_long_in_minutes(self):
        control("POST", "/limits", {"platform": "meta", "account": ACCOUNT, "refuse": 1})

        error = self.assert_refused(80004, 2446079, self.account.get_campaigns, fields=["id"])

        self.assertEqual(error.http_status(), 400)
        usage = json.loads(error.http_headers()["X-Business-Use-Case-Usage"])
        [entry] = usage[ACCOUNT]
        self.assertEqual(entry["type"], "ads_management")
        self.assertGreater(entry["estimated_time_to_regain_access"], 0)

    def test_usage_is_told_before_it_is_used_up(self):
        control("POST", "/limits", {"platform": "meta", "account": ACCOUNT, "usage_percent": 97})

        cursor = self.account.get_campaigns(fields=["id"])

        usage = json.loads(cursor.headers()["X-Business-Use-Case-Usage"])
        [entry] = usage[ACCOUNT]
        self.assertEqual(entry["call_count"], 97)


class PagesAreRead(AdsTest):
    def setUp(self):
        super().setUp()
        fields = ["id", "name", "access_token", "instagram_business_account{id,username}"]
        self.page = User("me").get_accounts(fields=fields)[0]

    def insights(self, token, *metrics):
        page = Page(self.page["id"], api=api_of(token))
        params = {
            "metric": list(metrics),
            "period": "day",
            "since": "2026-11-10",
            "until": "2026-11-13",
        }
        return page.get_insights(params=params)

    def test_a_page_has_a_token_of_its_own_and_an_instagram_account(self):
        [known] = entities("meta", ACCOUNT, "page").values()

        self.assertEqual(self.page["name"], known["name"])
        self.assertNotEqual(self.page["access_token"], TOKEN)
        [instagram] = entities("meta", ACCOUNT, "instagram_account")
        self.assertEqual(self.page["instagram_business_account"]["id"], instagram)

    def test_its_figures_are_dated_by_the_end_of_the_day(self):
        [told] = self.insights(self.page["access_token"], "page_post_engagements")[:1]

        ends = [value["end_time"] for value in told["values"]]
        self.assertEqual(ends, [f"2026-11-{day}T08:00:00+0000" for day in (10, 11, 12)])

    def test_its_figures_take_its_own_token(self):
        self.assert_refused(190, None, self.insights, TOKEN, "page_post_engagements")

    def test_one_dead_metric_refuses_the_whole_call(self):
        metrics = ("page_post_engagements", "page_impressions")

        error = self.assert_refused(100, None, self.insights, self.page["access_token"], *metrics)

        self.assertIn("must be a valid insights metric", error.api_error_message())


if __name__ == "__main__":
    unittest.main()

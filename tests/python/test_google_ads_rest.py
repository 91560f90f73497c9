"""Google's own library against the sandbox: tokens, customers, what they hold, and refusals."""

import unittest

from google.ads.googleads.v26.services.types.customer_service import (
    ListAccessibleCustomersResponse,
)
from google.auth.exceptions import RefreshError
from google.auth.transport.requests import Request

import sandbox
from google_ads import ACCOUNT, API, APP, MANAGER, REFRESH_TOKEN, WHEN, GoogleTest, names, read
from sandbox import DEADLINE, control, entities

# Everything that a query can ask of each resource.
FIELDS = {
    "customer": """resource_name id descriptive_name currency_code time_zone manager test_account
        status""",
    "customer_client": """resource_name client_customer id descriptive_name level manager
        currency_code time_zone status hidden test_account""",
    "campaign": """resource_name id name status serving_status primary_status
        advertising_channel_type bidding_strategy_type start_date_time end_date_time
        campaign_budget""",
    "campaign_budget": """resource_name id name amount_micros total_amount_micros period status
        explicitly_shared""",
    "ad_group": "resource_name id name status type campaign",
    "ad_group_ad": """resource_name ad_group status policy_summary.approval_status
        policy_summary.review_status ad.resource_name ad.id ad.name ad.type""",
    "asset_group": "resource_name id name status campaign",
    "user_list": "resource_name id name membership_status type membership_life_span",
    "conversion_action": "resource_name id name status type category",
    "change_status": """resource_name resource_type resource_status last_change_date_time campaign
        ad_group ad_group_ad""",
}
# Google knows nothing that is put away and not removed.
STATUSES = {"paused": "PAUSED", "archived": "PAUSED", "deleted": "REMOVED"}


def word(message, field):
    """The constant that a field has."""
    words = message.DESCRIPTOR.fields_by_name[field].enum_type.values_by_number
    return words[getattr(message, field)].name


class TokensAreGiven(GoogleTest):
    def test_a_refresh_token_gives_an_access_token_and_stays_what_it_is(self):
        self.credentials.refresh(Request())

        self.assertTrue(self.credentials.token)
        self.assertTrue(self.credentials.valid)
        self.assertEqual(self.credentials.refresh_token, REFRESH_TOKEN)

    def test_an_access_token_ends_within_the_hour_and_the_library_takes_another(self):
        self.page("SELECT campaign.id FROM campaign")
        first = self.credentials.token
        self.advance(3_600)

        self.page("SELECT campaign.id FROM campaign")

        self.assertNotEqual(self.credentials.token, first)

    def test_a_refresh_token_that_was_revoked(self):
        token = {"platform": "google_ads", "token": "gone", "role": "refresh", "state": "revoked"}
        control("POST", "/tokens", {"platform": "google_ads", "tokens": [token]})

        with self.assertRaises(RefreshError) as caught:
            self.with_refresh_token("gone").refresh(Request())

        self.assertEqual(caught.exception.args[1]["error"], "invalid_grant")

    def test_another_app_or_a_wrong_secret(self):
        for client in (("nobody", APP[1]), (APP[0], "wrong")):
            with self.subTest(client=client):
                with self.assertRaises(RefreshError) as caught:
                    self.with_refresh_token(REFRESH_TOKEN, client).refresh(Request())
                self.assertEqual(caught.exception.args[1]["error"], "invalid_client")


class CustomersAreFound(GoogleTest):
    def test_the_customers_of_a_person_are_named(self):
        answer = self.session.get(
            f"{sandbox.URL}{API}/customers:listAccessibleCustomers", timeout=DEADLINE
        )

        told = read(ListAccessibleCustomersResponse, answer.text).resource_names
        self.assertEqual(list(told), [f"customers/{MANAGER}", f"customers/{ACCOUNT}"])

    def test_the_manager_knows_every_account_below_it(self):
        fields = names("customer_client", FIELDS["customer_client"])

        rows = self.page(f"SELECT {fields} FROM customer_client", customer=MANAGER).results

        told = {
            (str(one.id), one.descriptive_name, one.currency_code, one.time_zone)
            for one in (row.customer_client for row in rows)
            if not one.manager
        }
        known = {
            (one["id"], one["name"], one["currency"], one["time_zone"])
            for one in sandbox.accounts("google_ads")
        }
        self.assertEqual(told, known)
        levels = [one.level for one in (row.customer_client for row in rows) if one.manager]
        self.assertEqual(levels, [0])


class ThingsAreListed(GoogleTest):
    def test_every_field_and_every_word_is_one_that_google_knows(self):
        campaigns = entities("google_ads", ACCOUNT, "campaign")
        control(
            "POST",
            "/world",
            {"platform": "google_ads", "id": max(campaigns), "name": "PMax everything"},
        )
        for resource, fields in FIELDS.items():
            with self.subTest(resource=resource):
                query = f"SELECT {names(resource, fields)} FROM {resource}"
                if resource == "change_status":
                    when = "BETWEEN '2026-09-01 00:00:00' AND '2026-11-20 00:00:00'"
                    query += f" WHERE change_status.last_change_date_time {when} LIMIT 100"

                answer = self.page(query)

                self.assertTrue(answer.results)
                wanted = {field.strip() for field in query.split("FROM")[0][7:].split(",")}
                self.assertEqual(set(answer.field_mask.paths), wanted)

    def test_campaigns_ad_groups_and_ads_are_those_of_the_world(self):
        cases = (
            ("campaign", "campaign", lambda row: row.campaign),
            ("ad_set", "ad_group", lambda row: row.ad_group),
        )
        for kind, resource, thing_of in cases:
            with self.subTest(kind=kind):
                fields = f"{resource}.id, {resource}.name, {resource}.status, campaign.id"

                rows = self.page(f"SELECT {fields} FROM {resource}").results

                told = {
                    str(thing_of(row).id): (
                        thing_of(row).name,
                        word(thing_of(row), "status"),
                        str(row.campaign.id),
                    )
                    for row in rows
                }
                known = entities("google_ads", ACCOUNT, kind)
                truth = {
                    id: (one["name"], STATUSES.get(one["status"], "ENABLED"), one["campaign_id"])
                    for id, one in known.items()
                }
                self.assertEqual(told, truth)

    def test_ads_name_their_ad_groups(self):
        rows = self.page("SELECT ad_group_ad.ad.id, ad_group.id FROM ad_group_ad").results

        told = {str(row.ad_group_ad.ad.id): str(row.ad_group.id) for row in rows}
        known = entities("google_ads", ACCOUNT, "ad")
        self.assertEqual(told, {id: one["parent_id"] for id, one in known.items()})

    def test_what_was_removed_is_hidden_from_those_who_say_so(self):
        query = "SELECT campaign.id FROM campaign WHERE campaign.status != 'REMOVED'"

        rows = self.page(query).results

        known = entities("google_ads", ACCOUNT, "campaign")
        kept = {id for id, one in known.items() if one["status"] != "deleted"}
        self.assertEqual({str(row.campaign.id) for row in rows}, kept)
        self.assertLess(len(kept), len(known))

    def test_a_change_is_told_with_what_was_changed(self):
        changed = sorted(entities("google_ads", ACCOUNT, "campaign"))[3]
        self.advance(600)
        control("POST", "/world", {"platform": "google_ads", "id": changed, "name": "Änderung"})
        since = "change_status.last_change_date_time BETWEEN '2026-11-20 13:00:00' AND '2026-11-21'"
        fields = names("change_status", FIELDS["change_status"])

        rows = self.page(f"SELECT {fields} FROM change_status WHERE {since} LIMIT 10").results

        [change] = [row.change_status for row in rows]
        self.assertEqual(change.campaign, f"customers/{ACCOUNT}/campaigns/{changed}")
        self.assertEqual(change.last_change_date_time, "2026-11-20 13:10:00.000000")


class CallsAreRefused(GoogleTest):
    QUERY = "SELECT campaign.id FROM campaign"

    def test_an_account_below_a_manager_without_naming_the_manager(self):
        self.assert_refused(
            "PERMISSION_DENIED",
            "authorization_error",
            "USER_PERMISSION_DENIED",
            self.QUERY,
            customer="2000000002",
            login=None,
        )

    def test_a_customer_that_is_not_there(self):
        self.assert_refused(
            "UNAUTHENTICATED",
            "authentication_error",
            "CUSTOMER_NOT_FOUND",
            self.QUERY,
            customer="9999999999",
        )

    def test_queries_that_cannot_be_answered(self):
        cases = (
            ("SELECT campaign.nothing FROM campaign", "UNRECOGNIZED_FIELD"),
            # It went with an earlier version.
            ("SELECT metrics.video_views FROM campaign", "UNRECOGNIZED_FIELD"),
            ("SELECT campaign.id FROM nothing", "BAD_RESOURCE_TYPE_IN_FROM_CLAUSE"),
            (
                f"SELECT metrics.clicks, segments.conversion_action FROM campaign WHERE {WHEN}",
                "PROHIBITED_SEGMENT_WITH_METRIC_IN_SELECT_OR_WHERE_CLAUSE",
            ),
        )
        for query, name in cases:
            with self.subTest(query=query):
                self.assert_refused("INVALID_ARGUMENT", "query_error", name, query)

    def test_the_manager_has_no_figures_of_its_own(self):
        self.assert_refused(
            "INVALID_ARGUMENT",
            "query_error",
            "REQUESTED_METRICS_FOR_MANAGER",
            f"SELECT metrics.clicks FROM customer WHERE {WHEN}",
            customer=MANAGER,
        )

    def test_days_of_long_ago_are_not_told_apart(self):
        self.assert_refused(
            "INVALID_ARGUMENT",
            "date_range_error",
            "REQUESTED_DATE_GRANULARITY_NOT_SUPPORTED",
            "SELECT campaign.id, segments.date, metrics.clicks FROM campaign "
            "WHERE segments.date BETWEEN '2023-01-01' AND '2023-01-07'",
        )

    def test_an_allowance_that_is_used_up_says_for_how_long(self):
        control("POST", "/limits", {"platform": "google_ads", "account": ACCOUNT, "refuse": 1})

        error = self.assert_refused(
            "RESOURCE_EXHAUSTED", "quota_error", "RESOURCE_TEMPORARILY_EXHAUSTED", self.QUERY
        )

        quota = error.details.quota_error_details
        self.assertEqual(quota.rate_name, "Requests per account")
        self.assertGreater(quota.retry_delay.ToSeconds(), 0)

    def test_a_streams_error_is_a_list_of_one(self):
        [refused] = self.ask("searchStream", "SELECT nothing FROM campaign").json()

        self.assert_failure(
            "INVALID_ARGUMENT", "query_error", "UNRECOGNIZED_FIELD", refused["error"]
        )


if __name__ == "__main__":
    unittest.main()

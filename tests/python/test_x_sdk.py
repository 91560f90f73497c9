"""X's own SDK against the sandbox: signed calls, accounts, what they hold, statistics, refusals."""

import unittest
import urllib.parse
from datetime import datetime, timedelta, timezone
from unittest import mock

import twitter_ads
from requests_oauthlib import OAuth1Session
from requests_oauthlib.oauth1_session import TokenRequestDenied

import sandbox
from sandbox import DEADLINE, WEEK, control, entities, figures

# The SDK was last released for version 11. Its classes take the number when they are made.
twitter_ads.API_VERSION = "12"

from twitter_ads import error  # noqa: E402
from twitter_ads.campaign import Campaign, LineItem  # noqa: E402
from twitter_ads.client import Client  # noqa: E402
from twitter_ads.creative import PromotedTweet  # noqa: E402
from twitter_ads.enum import GRANULARITY, METRIC_GROUP, PLACEMENT  # noqa: E402
from twitter_ads.http import Request  # noqa: E402

# What a sandbox knows when it starts.
APP = ("fake-dev-app", "fake-dev-app-secret")
TOKEN = ("fake-dev-x-token", "fake-dev-x-token-secret")

# London's days are those of UTC in winter, Sydney's are not.
LONDON = "1010000000"
SYDNEY = "1010000001"
PLACEMENTS = (PLACEMENT.ALL_ON_TWITTER, "SPOTLIGHT", "TREND")
GROUPS = [METRIC_GROUP.ENGAGEMENT, METRIC_GROUP.BILLING, METRIC_GROUP.WEB_CONVERSION]
SINCE = datetime.fromisoformat(WEEK[0])
UNTIL = datetime.fromisoformat(WEEK[1]) + timedelta(days=1)
# Most things of one question.
MOST = 20


def in_twenties(ids):
    ids = sorted(ids)
    return [ids[at : at + MOST] for at in range(0, len(ids), MOST)]


def series(metrics, name, steps):
    """A metric's numbers; null is zero throughout."""
    return metrics[name] or [0] * steps


def add_steps(told, answer, steps):
    """Adds to what is told of each thing and step: a thing may be shown in several places."""
    for thing in answer:
        [entry] = thing["id_data"]
        metrics = entry["metrics"]
        sales = metrics["conversion_purchases"] or {}
        columns = [
            series(metrics, "impressions", steps),
            series(metrics, "clicks", steps),
            series(metrics, "billed_charge_local_micro", steps),
            sales.get("sale_amount") or [0] * steps,
        ]
        for step, numbers in enumerate(zip(*columns, strict=True)):
            if any(numbers):
                known = told.get((thing["id"], step), (0, 0, 0, 0))
                told[thing["id"], step] = tuple(map(sum, zip(known, numbers, strict=True)))


def as_they_are(row):
    return (row["impressions"], row["clicks"], row["spend_micros"], row["revenue_micros"])


class XTest(sandbox.WorldTest):
    """The SDK with the development token, in a world that stands still."""

    def setUp(self):
        super().setUp()
        host = mock.patch.object(Request, "_DEFAULT_DOMAIN", f"{sandbox.URL}/x")
        self.enterContext(host)
        self.client = self.signed_in()

    def signed_in(self, token=TOKEN, app=APP):
        return Client(*app, *token, options={"timeout": DEADLINE})

    def assert_refused(self, kind, code, call, *args, **kwargs):
        with self.assertRaises(kind) as caught:
            call(*args, **kwargs)
        [told] = caught.exception.details
        self.assertEqual(told["code"], code)
        return caught.exception


class CallsAreSigned(XTest):
    def test_a_person_gives_access_step_by_step(self):
        session = OAuth1Session(
            APP[0], client_secret=APP[1], callback_uri="https://app.example/back?a=b c"
        )
        self.addCleanup(session.close)
        begun = session.fetch_request_token(f"{sandbox.URL}/x/oauth/request_token")
        self.assertEqual(begun["oauth_callback_confirmed"], "true")

        page = session.authorization_url(f"{sandbox.URL}/x/oauth/authorize")
        back = sandbox.sent_back(page)
        session.parse_authorization_response(
            f"https://app.example/back?{urllib.parse.urlencode(back)}"
        )
        token = session.fetch_access_token(f"{sandbox.URL}/x/oauth/access_token")

        client = self.signed_in((token["oauth_token"], token["oauth_token_secret"]))
        self.assertEqual([one.id for one in client.accounts()], [LONDON, SYDNEY])

    def test_a_verifier_that_nobody_was_given(self):
        session = OAuth1Session(APP[0], client_secret=APP[1], callback_uri="https://app.example")
        self.addCleanup(session.close)
        session.fetch_request_token(f"{sandbox.URL}/x/oauth/request_token")

        with self.assertRaises(TokenRequestDenied) as caught:
            session.fetch_access_token(f"{sandbox.URL}/x/oauth/access_token", verifier="guess")

        self.assertEqual(caught.exception.status_code, 401)

    def test_another_secret_signs_nothing(self):
        cases = (
            ({"app": (APP[0], "wrong")}, 32),
            ({"token": (TOKEN[0], "wrong")}, 32),
            ({"token": ("nobody's", "secret")}, 89),
        )
        for changes, code in cases:
            with self.subTest(changes=changes):
                client = self.signed_in(**changes)
                self.assert_refused(error.NotAuthorized, code, client.accounts)

    def test_a_signature_of_long_ago(self):
        long_ago = mock.patch("oauthlib.oauth1.rfc5849.generate_timestamp", lambda: "1000000000")
        with long_ago:
            self.assert_refused(error.NotAuthorized, 135, self.client.accounts)

    def test_a_nonce_is_good_once(self):
        with mock.patch("oauthlib.oauth1.rfc5849.generate_nonce", lambda: "the same"):
            self.client.accounts()
            self.assert_refused(error.NotAuthorized, 32, self.client.accounts)


class ThingsAreListed(XTest):
    def setUp(self):
        super().setUp()
        self.account = self.client.accounts(LONDON)

    def test_the_accounts_of_a_token_are_those_of_the_world(self):
        accounts = list(self.client.accounts())

        told = [(one.id, one.name, one.timezone) for one in accounts]
        known = [(one["id"], one["name"], one["time_zone"]) for one in sandbox.accounts("x")]
        self.assertEqual(told, known)
        self.assertEqual({one.approval_status for one in accounts}, {"ACCEPTED"})

    def test_campaigns_are_paged_to_their_end(self):
        known = entities("x", LONDON, "campaign")

        campaigns = list(self.account.campaigns(count=7, with_deleted="true"))

        self.assertEqual({one.id: one.name for one in campaigns}, names(known))
        self.assertEqual(len(campaigns), len(known))
        [funding] = self.account.funding_instruments()
        for one in campaigns:
            truth = known[one.id]
            self.assertEqual(one.daily_budget_amount_local_micro, truth["daily_budget_micros"])
            self.assertEqual(one.deleted or False, truth["effective"] == "deleted")
            self.assertEqual((one.currency, one.funding_instrument_id), ("GBP", funding.id))

    def test_what_was_deleted_is_hidden_unless_asked_for(self):
        known = entities("x", LONDON, "campaign")

        campaigns = self.account.campaigns(count=1000)

        kept = {id for id, one in known.items() if one["effective"] != "deleted"}
        self.assertEqual({one.id for one in campaigns}, kept)
        self.assertLess(len(kept), len(known))

    def test_line_items_and_promoted_tweets_name_what_they_stand_below(self):
        cases = (
            ("ad_set", self.account.line_items, "campaign_id"),
            ("ad", self.account.promoted_tweets, "line_item_id"),
        )
        for kind, lister, parent in cases:
            with self.subTest(kind=kind):
                things = lister(count=50, with_deleted="true")

                told = {one.id: getattr(one, parent) for one in things}
                known = entities("x", LONDON, kind)
                self.assertEqual(told, {id: one["parent_id"] for id, one in known.items()})

    def test_media_creatives_are_those_of_the_world(self):
        creatives = self.account.media_creatives(count=1000, with_deleted="true")

        self.assertEqual({one.id for one in creatives}, set(entities("x", LONDON, "creative")))

    def test_a_list_is_counted_when_that_is_asked_for(self):
        cursor = self.account.campaigns(with_total_count="true", with_deleted="true", count=1)

        self.assertEqual(cursor.count, len(entities("x", LONDON, "campaign")))

    def test_the_latest_changes_come_first(self):
        changed = sorted(entities("x", LONDON, "campaign"))[3]
        self.advance(600)
        control("POST", "/world", {"platform": "x", "id": changed, "name": "Änderung"})

        cursor = self.account.campaigns(sort_by="updated_at-desc", with_deleted="true", count=5)

        first, second = cursor.next(), cursor.next()
        self.assertEqual((first.id, first.name), (changed, "Änderung"))
        self.assertEqual(first.updated_at, "2026-11-20T12:10:00Z")
        self.assertLess(second.updated_at, first.updated_at)

    def test_one_thing_is_found_by_its_id(self):
        known = entities("x", LONDON, "campaign")
        id = min(known)

        campaign = self.account.campaigns(id)

        self.assertEqual(campaign.name, known[id]["name"])
        self.assert_refused(error.NotFound, "NOT_FOUND", self.account.campaigns, "404")


def names(known):
    return {id: one["name"] for id, one in known.items()}


class StatisticsAreRead(XTest):
    def setUp(self):
        super().setUp()
        self.account = self.client.accounts(LONDON)

    def ask(self, of, ids, **changes):
        asked = {"start_time": SINCE, "end_time": UNTIL, **changes}
        return of.all_stats(self.account, ids, GROUPS, **asked)

    def steps(self, of, ids, count, **changes):
        """Everything that is told of some things, place by place."""
        told = {}
        for some in in_twenties(ids):
            for placement in PLACEMENTS:
                answer = self.ask(of, some, placement=placement, **changes)
                self.assertEqual([one["id"] for one in answer], some)
                add_steps(told, answer, count)
        return told

    def test_the_figures_of_each_level_and_hour_are_those_of_the_world(self):
        for of, level in ((Campaign, "campaign"), (LineItem, "ad_set"), (PromotedTweet, "ad")):
            with self.subTest(level=level):
                day = {"end_time": SINCE + timedelta(days=1)}
                known = figures("x", LONDON, level, granularity="hour", to=WEEK[0])
                ids = {id for id, _, _ in known}

                told = self.steps(of, ids, 24, granularity=GRANULARITY.HOUR, **day)

                truth = {(id, hour): as_they_are(row) for (id, _, hour), row in known.items()}
                self.assertEqual(told, {key: row for key, row in truth.items() if any(row)})

    def test_days_are_those_of_the_account(self):
        self.account = self.client.accounts(SYDNEY)
        known = figures("x", SYDNEY, "campaign")
        ids = {id for id, _ in known}

        told = self.steps(Campaign, ids, 7, granularity=GRANULARITY.DAY)

        first = SINCE.date()
        truth = {
            (id, (datetime.fromisoformat(day).date() - first).days): as_they_are(row)
            for (id, day), row in known.items()
        }
        self.assertEqual(told, {key: row for key, row in truth.items() if any(row)})

    def test_only_what_was_active_is_told_with_its_places(self):
        active = Campaign.active_entities(self.account, SINCE, UNTIL)

        known = figures("x", LONDON, "campaign", granularity="hour")
        self.assertEqual({one["entity_id"] for one in active}, {id for id, _, _ in known})
        for one in active:
            self.assertLessEqual(set(one["placements"]), set(PLACEMENTS))
            begins, ends = one["activity_start_time"], one["activity_end_time"]
            self.assertLessEqual(SINCE.replace(tzinfo=timezone.utc), datetime.fromisoformat(begins))
            self.assertLess(begins, ends)
        self.assertGreater(len({place for one in active for place in one["placements"]}), 1)

    def test_questions_that_cannot_be_answered(self):
        ids = sorted(entities("x", LONDON, "campaign"))
        cases = (
            (ids[:21], {}, "INVALID_PARAMETER"),
            (ids[:1], {"end_time": UNTIL + timedelta(days=1)}, "INVALID_TIME_WINDOW"),
            (ids[:1], {"end_time": SINCE}, "INVALID_PARAMETER"),
            (ids[:1], {"placement": "ALL_ON_TWITTER,TREND"}, "INVALID_PARAMETER"),
            (ids[:1], {"granularity": "WEEK"}, "INVALID_PARAMETER"),
        )
        for some, changes, code in cases:
            with self.subTest(changes=changes):
                self.assert_refused(error.BadRequest, code, self.ask, Campaign, some, **changes)


class StatisticsAreMadeInTheBackground(XTest):
    def setUp(self):
        super().setUp()
        self.account = self.client.accounts(LONDON)
        self.ids = in_twenties({id for id, _ in figures("x", LONDON, "campaign")})[0]

    def begin(self, **changes):
        asked = {"granularity": GRANULARITY.HOUR, "start_time": SINCE, "end_time": UNTIL, **changes}
        return Campaign.queue_async_stats_job(self.account, self.ids, GROUPS, **asked)

    def look(self, job):
        [found] = Campaign.async_stats_job_result(self.account, job_ids=[job.id])
        return found

    def test_a_job_is_done_step_by_step_and_then_has_a_file(self):
        job = self.begin()
        self.assertGreater(job.id, 2**53)
        self.assertEqual((job.entity_ids, job.metric_groups), (self.ids, GROUPS))
        seen = [(job.status, job.url)]
        for seconds in (3, 5):
            self.advance(seconds)
            job = self.look(job)
            seen.append((job.status, bool(job.url)))

        self.assertEqual(seen, [("QUEUED", None), ("PROCESSING", False), ("SUCCESS", True)])

    def test_its_file_holds_the_figures_of_the_world(self):
        # One that is shown in no other place.
        active = Campaign.active_entities(self.account, SINCE, UNTIL)
        usual = {one["entity_id"] for one in active if one["placements"] == ["ALL_ON_TWITTER"]}
        self.ids = sorted(usual)[:MOST]
        job = self.begin()
        seen = self.advance(8)

        file = Campaign.async_stats_job_data(self.account, self.look(job).url)

        told = {}
        add_steps(told, file["data"], file["time_series_length"])
        known = figures("x", LONDON, "campaign", granularity="hour", seen=seen)
        truth = {
            (id, (datetime.fromisoformat(day) - SINCE).days * 24 + hour): as_they_are(row)
            for (id, day, hour), row in known.items()
            if id in self.ids
        }
        self.assertEqual(told, {key: row for key, row in truth.items() if any(row)})

    def test_a_file_may_be_split_into_segments(self):
        job = self.begin(segmentation_type="GENDER", granularity=GRANULARITY.TOTAL)
        self.advance(8)

        file = Campaign.async_stats_job_data(self.account, self.look(job).url)

        for thing in file["data"]:
            segments = [entry["segment"]["segment_name"] for entry in thing["id_data"]]
            self.assertEqual(segments, ["FEMALE", "MALE"])

    def test_a_job_may_fail(self):
        control("POST", "/reports", {"platform": "x", "fate": "fails"})
        job = self.begin()
        self.advance(60)

        found = self.look(job)

        self.assertEqual((found.status, found.url), ("FAILED", None))


class CallsAreRefused(XTest):
    def test_an_account_that_is_not_there_and_one_without_a_role(self):
        token = {
            "platform": "x",
            "token": "narrow",
            "secret": "narrow-secret",
            "accounts": [SYDNEY],
        }
        control("POST", "/tokens", {"platform": "x", "tokens": [token]})
        narrow = self.signed_in(("narrow", "narrow-secret"))

        self.assertEqual([one.id for one in narrow.accounts()], [SYDNEY])
        self.assert_refused(error.Forbidden, "ACCOUNT_NOT_FOUND", narrow.accounts, LONDON)
        self.assert_refused(error.NotFound, "ACCOUNT_NOT_FOUND", narrow.accounts, "404")

    def test_an_account_whose_calls_are_used_up_says_until_when(self):
        account = self.client.accounts(LONDON)
        control("POST", "/limits", {"platform": "x", "account": LONDON, "refuse": 1})

        refused = self.assert_refused(error.RateLimit, "TOO_MANY_REQUESTS", account.campaigns)

        now = datetime.now(timezone.utc).timestamp()
        self.assertGreaterEqual(int(refused.reset_at), int(now))
        self.assertLess(int(refused.reset_at), now + 15 * 60 + DEADLINE)

    def test_what_is_left_is_told_for_the_account(self):
        cursor = self.client.accounts(LONDON).campaigns(count=1)

        self.assertEqual(int(cursor.account_rate_limit_limit), 10_000)
        self.assertEqual(int(cursor.account_rate_limit_remaining), 9_999)

    def test_a_server_that_is_over_capacity_says_when_to_come_back(self):
        fault = {
            "kind": "fail",
            "status": 503,
            "name": "OVER_CAPACITY",
            "message": "The service is over capacity",
        }
        control("POST", "/faults", {"target": "x", "fault": fault, "times": 1})

        self.assert_refused(error.ServiceUnavailable, "OVER_CAPACITY", self.client.accounts)

        self.client.accounts()


if __name__ == "__main__":
    unittest.main()

"""Meta's own SDK against the sandbox: it sends conversion events and must get Meta's answers."""

import hashlib
import json
import time
import unittest
import warnings

import requests
from facebook_business.adobjects.adspixel import AdsPixel
from facebook_business.adobjects.serverside.action_source import ActionSource
from facebook_business.adobjects.serverside.content import Content
from facebook_business.adobjects.serverside.custom_data import CustomData
from facebook_business.adobjects.serverside.delivery_category import DeliveryCategory
from facebook_business.adobjects.serverside.event import Event
from facebook_business.adobjects.serverside.event_request import EventRequest
from facebook_business.adobjects.serverside.gender import Gender
from facebook_business.adobjects.serverside.user_data import UserData
from facebook_business.adobjects.user import User
from facebook_business.api import FacebookAdsApi
from facebook_business.exceptions import FacebookRequestError
from facebook_business.session import FacebookSession

import sandbox
from sandbox import DEADLINE, control

APP_ID = "100000000000000"
APP_SECRET = "fake-python-app-secret"
TOKEN = "fake-python-token"
DATASET = "2000000000000002"

DAY = 24 * 60 * 60


def received():
    """The events that the sandbox took, oldest first."""
    return control("GET", "/ledger")["meta_events"]


def sign_in(token=TOKEN, app_secret=APP_SECRET):
    """Makes the SDK call as the owner of `token`."""
    FacebookAdsApi.init(
        app_id=APP_ID,
        app_secret=app_secret,
        access_token=token,
        timeout=DEADLINE,
        crash_log=False,
    )


def sha256(text):
    return hashlib.sha256(text.encode()).hexdigest()


def now():
    return int(time.time())


def customer(**changes):
    """Somebody whom Meta could find."""
    values = {
        "email": "John_Smith@gmail.com",
        "client_user_agent": "Mozilla/5.0 (X11; Linux x86_64)",
        "client_ip_address": "203.0.113.7",
    }
    return UserData(**{**values, **changes})


def purchase(event_id="order-1", **changes):
    """A purchase that breaks no rule, but for its changes."""
    values = {
        "event_name": "Purchase",
        "event_time": now(),
        "event_id": event_id,
        "action_source": ActionSource.WEBSITE,
        "event_source_url": "https://shop.example.com/thanks",
        "user_data": customer(),
        "custom_data": CustomData(value=84.37, currency="USD"),
    }
    return Event(**{**values, **changes})


def send(*events, dataset=DATASET, **options):
    return EventRequest(pixel_id=dataset, events=list(events), **options).execute()


def send_raw(*events):
    """Sends events as they are: past the SDK's own normalising, hashing and checking."""
    with warnings.catch_warnings():
        # The SDK declares each event as text and takes objects with a warning.
        warnings.simplefilter("ignore")
        return AdsPixel(DATASET).create_event(params={"data": list(events)})


def raw(**changes):
    """A purchase as JSON; a change to None leaves the member out."""
    values = {**purchase().normalize(), **changes}
    return {name: value for name, value in values.items() if value is not None}


class EventsTest(sandbox.SandboxTest):
    """A sandbox that knows one token, one dataset and one app secret."""

    def setUp(self):
        super().setUp()
        FacebookSession.GRAPH = sandbox.URL
        control(
            "POST",
            "/tokens",
            {
                "tokens": [
                    {"token": TOKEN},
                    {"token": "fake-expired", "state": "expired"},
                    {"token": "fake-password", "state": "password_changed"},
                    {"token": "fake-invalid", "state": "invalid"},
                ],
                "datasets": [DATASET],
                "app_secret": APP_SECRET,
                "require_proof": True,
            },
        )
        sign_in()

    def assert_refused(self, code, subcode, call, *args, **kwargs):
        """The call is refused with Meta's envelope and these codes, and nothing was taken."""
        with self.assertRaises(FacebookRequestError) as caught:
            call(*args, **kwargs)
        error = caught.exception
        self.assertEqual((error.api_error_code(), error.api_error_subcode()), (code, subcode))
        envelope = error.body()["error"]
        self.assertIn(envelope["type"], ("OAuthException", "GraphMethodException"))
        self.assertTrue(envelope["fbtrace_id"].startswith("A"))
        self.assertEqual(received(), [])
        return error


class EventsAreReceived(EventsTest):
    def test_a_purchase_arrives_with_hashed_personal_data(self):
        user = customer(
            phone="+1 (650) 555-1212",
            first_name="Mary",
            last_name="Smith",
            gender=Gender.FEMALE,
            city="New York",
            state="ca",
            zip_code="94035",
            country_code="us",
            external_id="customer-1",
            fbc="fb.1.1763600000000.FakeClickIdAbC",
            fbp="fb.1.1763500000000.1098115397",
        )
        sold = CustomData(
            value=84.37,
            currency="USD",
            order_id="10001",
            content_type="product",
            content_ids=["sku-1"],
            contents=[
                Content(
                    product_id="sku-1",
                    quantity=2,
                    item_price=42.185,
                    delivery_category=DeliveryCategory.HOME_DELIVERY,
                )
            ],
            num_items=2,
            custom_properties={"shop": "north"},
        )

        answer = send(purchase(user_data=user, custom_data=sold))

        self.assertEqual(answer.events_received, 1)
        self.assertEqual(answer.messages, [])
        self.assertTrue(answer.fbtrace_id.startswith("A"))
        [entry] = received()
        self.assertEqual(entry["dataset"], DATASET)
        self.assertEqual(entry["event_id"], "order-1")
        self.assertEqual(entry["count"], 1)
        seen = entry["event"]["user_data"]
        self.assertEqual(
            seen["em"], ["62a14e44f765419d10fea99367361a727c12365e2520f32218d505ed9aa0f62f"]
        )
        self.assertEqual(seen["ph"], [sha256("16505551212")])
        self.assertEqual(seen["fn"], [sha256("mary")])
        self.assertEqual(seen["ge"], [sha256("f")])
        self.assertEqual(seen["ct"], [sha256("newyork")])
        self.assertEqual(seen["country"], [sha256("us")])
        self.assertEqual(seen["external_id"], ["customer-1"])
        self.assertEqual(seen["client_ip_address"], "203.0.113.7")
        self.assertEqual(seen["fbc"], "fb.1.1763600000000.FakeClickIdAbC")
        self.assertEqual(entry["event"]["custom_data"]["currency"], "usd")
        self.assertEqual(entry["event"]["custom_data"]["shop"], "north")

    def test_a_thousand_events_are_received_in_one_call(self):
        answer = send(*(purchase(f"order-{number}") for number in range(1000)))

        self.assertEqual(answer.events_received, 1000)
        self.assertEqual(len(received()), 1000)

    def test_an_event_sent_again_is_received_and_counted_once(self):
        send(purchase("order-1"))
        again = send(purchase("order-1"), purchase("order-2"))

        self.assertEqual(again.events_received, 2)
        counts = {entry["event_id"]: entry["count"] for entry in received()}
        self.assertEqual(counts, {"order-1": 2, "order-2": 1})

    def test_a_test_event_is_marked_as_one(self):
        send(purchase(), test_event_code="TEST12345")

        [entry] = received()
        self.assertEqual(entry["test_event_code"], "TEST12345")

    def test_a_sale_in_a_store_may_be_older_than_seven_days(self):
        store = ActionSource.PHYSICAL_STORE

        answer = send(purchase(event_time=now() - 61 * DAY, action_source=store))

        self.assertEqual(answer.events_received, 1)

    def test_the_token_has_an_owner(self):
        me = User("me").api_get(fields=["id", "name"])

        self.assertTrue(me["id"])

    def test_answers_tell_how_much_is_used(self):
        call = FacebookAdsApi.get_default_api().call("GET", ("me",))

        usage = json.loads(call.headers()["X-App-Usage"])
        self.assertEqual(set(usage), {"call_count", "total_time", "total_cputime"})


class CallersAreRefused(EventsTest):
    def test_a_token_that_does_not_work(self):
        spent = {"fake-expired": 463, "fake-password": 460, "fake-invalid": 467}
        for token, subcode in spent.items():
            with self.subTest(token=token):
                sign_in(token=token)
                self.assert_refused(190, subcode, send, purchase())

    def test_an_unknown_token(self):
        sign_in(token="nobody's")
        self.assert_refused(190, None, send, purchase())

    def test_a_call_without_proof(self):
        sign_in(app_secret=None)
        error = self.assert_refused(100, None, send, purchase())
        self.assertEqual(
            error.api_error_message(),
            "API calls from the server require an appsecret_proof argument",
        )

    def test_a_proof_made_with_another_secret(self):
        sign_in(app_secret="another secret")
        error = self.assert_refused(100, None, send, purchase())
        self.assertEqual(
            error.api_error_message(), "Invalid appsecret_proof provided in the API argument"
        )

    def test_an_unknown_dataset(self):
        error = self.assert_refused(100, 33, send, purchase(), dataset="404")
        self.assertIn("Object with ID '404' does not exist", error.api_error_message())


class EventsAreRefused(EventsTest):
    def test_one_bad_event_refuses_its_whole_batch_and_is_named(self):
        old = purchase("old", event_time=now() - 8 * DAY)

        error = self.assert_refused(100, 2804003, send, purchase("a"), old, purchase("b"))

        envelope = error.body()["error"]
        self.assertEqual(error.http_status(), 400)
        self.assertEqual(envelope["message"], "Invalid parameter")
        self.assertEqual(envelope["error_user_title"], "Event Timestamp Too Old")
        self.assertTrue(envelope["error_user_msg"].startswith("data[1]: "))
        self.assertFalse(error.api_transient_error())

    def test_a_sale_in_a_store_older_than_62_days(self):
        old = purchase(event_time=now() - 63 * DAY, action_source=ActionSource.PHYSICAL_STORE)
        self.assert_refused(100, 2804003, send, old)

    def test_an_event_of_the_future_or_in_milliseconds(self):
        for event_time in (now() + 3600, now() * 1000):
            with self.subTest(event_time=event_time):
                self.assert_refused(100, 2804007, send, purchase(event_time=event_time))

    def test_more_than_a_thousand_events(self):
        events = [purchase(f"order-{number}") for number in range(1001)]
        self.assert_refused(100, None, send, *events)

    def test_a_purchase_without_value_or_currency(self):
        for sold in (CustomData(currency="USD"), CustomData(value=1.0), None):
            with self.subTest(sold=sold):
                self.assert_refused(100, 2804019, send, purchase(custom_data=sold))

    def test_a_website_event_without_its_page_or_browser(self):
        no_browser = UserData(email="john@example.com")
        for changes in ({"event_source_url": None}, {"user_data": no_browser}):
            with self.subTest(changes=list(changes)):
                self.assert_refused(100, 2804048, send, purchase(**changes))

    def test_too_little_about_the_customer(self):
        weak = (
            UserData(),
            UserData(client_user_agent="Mozilla/5.0"),
            UserData(country_code="us", city="berlin", client_user_agent="Mozilla/5.0"),
            UserData(first_name="mary", gender=Gender.FEMALE),
        )
        for user_data in weak:
            with self.subTest(user_data=user_data.normalize()):
                self.assert_refused(100, 2804050, send, purchase(user_data=user_data))

    def test_personal_data_in_the_clear(self):
        for name, value in (("em", "john@example.com"), ("ph", "16505551212"), ("fn", "mary")):
            with self.subTest(name=name):
                user_data = {**customer().normalize(), name: [value]}
                self.assert_refused(100, 2804017, send_raw, raw(user_data=user_data))

    def test_a_required_member_that_is_missing(self):
        for name in ("event_name", "event_time", "action_source", "user_data"):
            with self.subTest(name=name):
                self.assert_refused(100, 2804001, send_raw, raw(**{name: None}))

    def test_an_unknown_action_source(self):
        self.assert_refused(100, 2804016, send_raw, raw(action_source="fax"))

    def test_a_value_of_the_wrong_type(self):
        for changes in ({"event_time": "yesterday"}, {"event_id": 5}, {"opt_out": "no"}):
            with self.subTest(changes=changes):
                self.assert_refused(100, None, send_raw, raw(**changes))


class ServersFail(EventsTest):
    def arm(self, **fault):
        control("POST", "/faults", {"target": "meta", "fault": fault, "times": 1})

    def test_throttling_is_told_with_its_usage(self):
        self.arm(kind="throttle", code=80004, wait_s=120)
        error = self.assert_refused(80004, None, send, purchase())
        usage = json.loads(error.http_headers()["X-Business-Use-Case-Usage"])
        [[entry]] = usage.values()
        self.assertEqual(entry["estimated_time_to_regain_access"], 2)

    def test_a_passing_failure_says_that_it_will_pass(self):
        self.arm(kind="fail", status=500, code=2, is_transient=True)
        error = self.assert_refused(2, None, send, purchase())
        self.assertTrue(error.api_transient_error())

    def test_an_error_inside_a_success_is_an_error(self):
        self.arm(kind="fail", status=200, code=1)
        error = self.assert_refused(1, None, send, purchase())
        self.assertEqual(error.http_status(), 200)

    def test_an_answer_that_is_cut_off_leaves_its_events_received(self):
        self.arm(kind="cut_off")
        with self.assertRaises(requests.exceptions.RequestException):
            send(purchase())
        self.assertEqual(len(received()), 1)

    def test_a_proxys_page_is_no_answer_and_the_next_call_is_well(self):
        self.arm(kind="html", status=502)
        # The SDK takes the page for an answer and stumbles over it.
        with self.assertRaises(TypeError):
            send(purchase())
        self.assertEqual(received(), [])

        answer = send(purchase())

        self.assertEqual(answer.events_received, 1)


if __name__ == "__main__":
    unittest.main()

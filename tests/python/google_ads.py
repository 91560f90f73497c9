"""Google's own library, set up to read the sandbox: its types read every REST answer.

The library itself speaks gRPC, which the sandbox does not; the REST form of the API is those same
messages as JSON. A member or a constant that Google's types do not know fails the reading.
"""

import json

from google.ads.googleads.v26.errors.types.errors import GoogleAdsFailure
from google.ads.googleads.v26.services.types.google_ads_service import (
    SearchGoogleAdsRequest,
    SearchGoogleAdsResponse,
    SearchGoogleAdsStreamResponse,
)
from google.auth.transport.requests import AuthorizedSession
from google.oauth2.credentials import Credentials

import sandbox
from sandbox import DEADLINE, WEEK

API = "/google_ads/v26"
# What a sandbox knows when it starts.
APP = ("fake-dev-app", "fake-dev-app-secret")
REFRESH_TOKEN = "fake-dev-google-refresh-token"

MANAGER = "1000000001"
ACCOUNT = "2000000001"
WHEN = "segments.date BETWEEN '{}' AND '{}'".format(*WEEK)


def names(of, fields):
    """The fields as a query names them."""
    return ", ".join(f"{of}.{field}" for field in fields.split())


def read(message, text):
    """An answer as Google's type of it; nothing that the type does not know passes."""
    return message.pb(message.from_json(text, ignore_unknown_fields=False))


class GoogleTest(sandbox.WorldTest):
    """A session of Google's own authentication library, in a world that stands still."""

    def setUp(self):
        super().setUp()
        self.credentials = self.with_refresh_token(REFRESH_TOKEN)
        self.session = AuthorizedSession(self.credentials)
        self.addCleanup(self.session.close)

    def with_refresh_token(self, refresh_token, client=APP):
        client_id, client_secret = client
        return Credentials(
            token=None,
            refresh_token=refresh_token,
            token_uri=f"{sandbox.URL}/google_ads/token",
            client_id=client_id,
            client_secret=client_secret,
        )

    def ask(self, method, query, customer=ACCOUNT, login=MANAGER, **members):
        """The answer to a query, whose body is the library's request as JSON."""
        request = SearchGoogleAdsRequest(query=query, **members)
        body = SearchGoogleAdsRequest.to_json(request, always_print_fields_with_no_presence=False)
        return self.session.post(
            f"{sandbox.URL}{API}/customers/{customer}/googleAds:{method}",
            data=body,
            headers={
                "content-type": "application/json",
                **({"login-customer-id": login} if login else {}),
            },
            timeout=DEADLINE,
        )

    def page(self, query, **options):
        answer = self.ask("search", query, **options)
        self.assertEqual(answer.status_code, 200, answer.text)
        return read(SearchGoogleAdsResponse, answer.text)

    def stream(self, query, **options):
        """The batches of a stream."""
        answer = self.ask("searchStream", query, **options)
        self.assertEqual(answer.status_code, 200, answer.text)
        batches = answer.json()
        return [read(SearchGoogleAdsStreamResponse, json.dumps(batch)) for batch in batches]

    def assert_failure(self, status, category, name, error):
        """The error is Google's: a status, and of Google Ads' own failures this one."""
        self.assertEqual(error["status"], status)
        [detail] = error["details"]
        kind = detail.pop("@type")
        self.assertTrue(kind.endswith("v26.errors.GoogleAdsFailure"), kind)
        failure = read(GoogleAdsFailure, json.dumps(detail))
        self.assertTrue(failure.request_id)
        [told] = failure.errors
        self.assertEqual(told.error_code.WhichOneof("error_code"), category)
        known = told.error_code.DESCRIPTOR.fields_by_name[category].enum_type.values_by_name
        self.assertEqual(getattr(told.error_code, category), known[name].number)
        return told

    def assert_refused(self, status, category, name, query, **options):
        answer = self.ask("search", query, **options)
        error = answer.json()["error"]
        self.assertEqual(error["code"], answer.status_code)
        return self.assert_failure(status, category, name, error)

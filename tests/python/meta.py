"""Meta's own SDK, set up to read the sandbox's ad accounts."""

import warnings

from facebook_business.adobjects.adaccount import AdAccount
from facebook_business.api import FacebookAdsApi
from facebook_business.exceptions import FacebookRequestError
from facebook_business.session import FacebookSession

import sandbox
from sandbox import DEADLINE

# What a sandbox knows when it starts.
APP_ID = "100000000000000"
APP_SECRET = "fake-dev-meta-app-secret"
TOKEN = "fake-dev-meta-access-token"

ACCOUNT = "1000000000001"
# Deleted and archived things are shown to those alone who name every state.
EVERY_STATE = [
    "ACTIVE",
    "PAUSED",
    "CAMPAIGN_PAUSED",
    "ADSET_PAUSED",
    "ARCHIVED",
    "DELETED",
    "DISAPPROVED",
    "PENDING_REVIEW",
    "WITH_ISSUES",
]


def api_of(token=TOKEN, app_secret=APP_SECRET):
    """The SDK as the owner of `token` uses it."""
    return FacebookAdsApi(FacebookSession(APP_ID, app_secret, token, timeout=DEADLINE))


def every_state(of):
    """The filter that hides nothing."""
    return [{"field": f"{of}.effective_status", "operator": "IN", "value": EVERY_STATE}]


class AdsTest(sandbox.WorldTest):
    """The SDK with the development token, in a world that stands still."""

    def setUp(self):
        super().setUp()
        FacebookSession.GRAPH = sandbox.URL
        FacebookAdsApi.set_default_api(api_of())
        self.account = AdAccount(f"act_{ACCOUNT}")
        # The SDK knows no fields of fields and warns of each.
        self.enterContext(warnings.catch_warnings())
        warnings.simplefilter("ignore")

    def assert_refused(self, code, subcode, call, *args, **kwargs):
        with self.assertRaises(FacebookRequestError) as caught:
            call(*args, **kwargs)
        error = caught.exception
        self.assertEqual((error.api_error_code(), error.api_error_subcode()), (code, subcode))
        self.assertTrue(error.body()["error"]["fbtrace_id"].startswith("A"))
        return error

"""The sandbox under test: its control, and the world as it truly is, to compare answers with.

MILLPOND_SANDBOX_URL is the sandbox's address, http://127.0.0.1:PORT. Every test resets the sandbox,
so it must be one for tests.
"""

import json
import os
import unittest
import urllib.error
import urllib.parse
import urllib.request

URL = os.environ.get("MILLPOND_SANDBOX_URL", "").rstrip("/")

# The longest wait for an answer of a healthy sandbox, in seconds.
DEADLINE = 30
# Where the world's clock stands: whatever the day of the run, the figures are the same.
NOON = "2026-11-20T12:00:00Z"
# A week that is over everywhere by then, but recent enough to be restated still.
WEEK = ("2026-11-10", "2026-11-16")


def control(method, path, body=None):
    """Calls the sandbox's control; answers its JSON, or None."""
    request = urllib.request.Request(
        f"{URL}/_control{path}",
        method=method,
        data=None if body is None else json.dumps(body).encode(),
        headers={"content-type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=DEADLINE) as answer:
        text = answer.read()
    return json.loads(text) if text else None


def accounts(platform):
    """The platform's ad accounts."""
    return control("GET", "/world")["accounts"][platform]


def entities(platform, account, kind):
    """Everything of a kind that an account holds, by id: what is deleted is among it."""
    query = urllib.parse.urlencode({"platform": platform, "account": account, "kind": kind})
    listed = control("GET", f"/world/entities?{query}")["entities"]
    if not listed:
        raise AssertionError(f"{account} holds no {kind}: there is nothing to compare with")
    return {entity["id"]: entity for entity in listed}


def figures(platform, account, level, **changes):
    """The figures of a week by (id, date), or by (id, date, hour); without those of nothing."""
    since, until = WEEK
    asked = {
        "platform": platform,
        "account": account,
        "level": level,
        "granularity": "day",
        "from": since,
        "to": until,
        **changes,
    }
    rows = control("GET", f"/world/export?{urllib.parse.urlencode(asked)}")["rows"]
    if not rows:
        raise AssertionError(f"{account} did nothing: there is nothing to compare with")
    by_hour = asked["granularity"] == "hour"
    return {
        (row["entity_id"], row["date"], row["hour"])
        if by_hour
        else (row["entity_id"], row["date"]): row
        for row in rows
    }


class StopAtRedirects(urllib.request.HTTPRedirectHandler):
    """Goes nowhere: the address itself is what is looked for."""

    def redirect_request(self, *_):
        return None


def sent_back(page):
    """What a person's browser brings back from a platform's page that asks for consent."""
    browser = urllib.request.build_opener(StopAtRedirects)
    try:
        with browser.open(page, timeout=DEADLINE) as answer:
            raise AssertionError(f"nobody is sent back from {page}: {answer.status}")
    except urllib.error.HTTPError as answer:
        with answer:
            back = urllib.parse.urlsplit(answer.headers["location"])
    return dict(urllib.parse.parse_qsl(back.query))


def total(rows, name):
    """A figure added up over rows of `figures`."""
    return sum(row[name] for row in rows.values())


class SandboxTest(unittest.TestCase):
    """A sandbox as it was when it started."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        if not URL:
            raise RuntimeError("MILLPOND_SANDBOX_URL is not set: start one with `millpond sandbox`")

    def setUp(self):
        super().setUp()
        control("POST", "/reset")
        self.addCleanup(control, "POST", "/reset")


class WorldTest(SandboxTest):
    """A sandbox whose clock stands."""

    def setUp(self):
        super().setUp()
        control("POST", "/clock", {"stopped": True, "set": NOON})

    def advance(self, seconds):
        """Lets time go by in the world; answers what time it is then."""
        return control("POST", "/clock", {"advance_s": seconds})["now"]

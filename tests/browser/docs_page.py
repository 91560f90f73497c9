#!/usr/bin/env python3
"""`/docs` in a real Chromium: it shows the whole API, runs an operation with a key, and keeps to itself.

Set MILLPOND_URL to the API's address, MILLPOND_KEY_FILE to a file with a key, WEBDRIVER_URL to chromedriver's
address and BROWSER_PROFILE to a folder for the browser. `tests/browser/run` starts what is needed.
"""

import http.client
import json
import os
import unittest
from pathlib import Path
from urllib.parse import quote, urlsplit

from webdriver import Browser

# The longest wait for one of Millpond's answers, in seconds.
ANSWER_SECONDS = 30
# As an operator's users open it: Swagger UI does not ask its validator about pages on localhost.
HOST = "millpond.test"

OPERATIONS = """
    return [...document.querySelectorAll(".opblock")]
      .filter((block) => block.checkVisibility())
      .map((block) => [
        block.querySelector(".opblock-summary-method").textContent,
        block.querySelector("[data-path]").dataset.path,
      ]);
"""
RESPONSES = "return [...document.querySelectorAll(arguments[0])].map((row) => row.dataset.code)"
ENQUEUE = '.opblock-post:has([data-path="/v1/jobs"])'


def ask(path, **headers):
    """What the API answers to a GET, as JSON."""
    connection = http.client.HTTPConnection(API, timeout=ANSWER_SECONDS)
    try:
        connection.request("GET", path, headers=headers)
        answer = connection.getresponse()
        body = answer.read()
    finally:
        connection.close()
    if answer.status != 200:
        raise AssertionError(f"GET {path} answers {answer.status} instead of 200: {body.decode(errors='replace')}")
    return json.loads(body)


def disturbances(browser, own):
    """What a page did that it should not: errors, breaches of its policy, requests that are not to host `own`."""
    asked = [url for url in browser.requests() if urlsplit(url).scheme not in ("data", "blob")]
    return [
        *(f"error on the console: {error}" for error in browser.console_errors()),
        *(f"breach of the Content-Security-Policy: {violation}" for violation in browser.policy_violations()),
        *(f"request to another host: {url}" for url in asked if urlsplit(url).netloc != own),
    ]


def setUpModule():
    global API, KEY, BROWSER
    API = urlsplit(os.environ["MILLPOND_URL"]).netloc
    KEY = Path(os.environ["MILLPOND_KEY_FILE"]).read_text(encoding="utf-8").strip()
    BROWSER = Browser(os.environ["WEBDRIVER_URL"], os.environ["BROWSER_PROFILE"], {HOST: urlsplit(f"//{API}").hostname})
    unittest.addModuleCleanup(BROWSER.close)


class QuietPage(unittest.TestCase):
    """Whatever a test does with a page, the page must not err, break its policy or ask anyone else."""

    def open(self, path):
        self.own = f"{HOST}:{urlsplit(f'//{API}').port}"
        BROWSER.open(f"http://{self.own}{path}")

    def tearDown(self):
        BROWSER.wait_until_loaded()
        found = disturbances(BROWSER, self.own)
        if found:
            self.fail("\n".join([f"{BROWSER.run('return location.href')} must do none of this:", *found]))


class DocsPage(QuietPage):
    """The page that shows the OpenAPI document."""

    def setUp(self):
        self.open("/docs")
        BROWSER.wait_until("the page lists operations", lambda: BROWSER.run(OPERATIONS))

    def test_it_shows_every_operation_of_the_document_and_no_other(self):
        paths = ask("/openapi.json")["paths"]
        expected = [[method.upper(), path] for path, methods in paths.items() for method in methods]

        shown = BROWSER.run(OPERATIONS)

        self.assertIn(["POST", "/v1/jobs"], shown)
        self.assertCountEqual(shown, expected, "the first is the page, the second the document")

    def test_an_operation_opens_and_shows_every_response_of_the_document(self):
        operation = ask("/openapi.json")["paths"]["/v1/jobs"]["post"]

        BROWSER.click(f"{ENQUEUE} .opblock-summary-control")
        text = BROWSER.text(f"{ENQUEUE} .opblock-body")

        self.assertIn("Idempotency-Key", text)
        shown = BROWSER.run(RESPONSES, f"{ENQUEUE} .responses-table .response")
        self.assertCountEqual(shown, operation["responses"], text)

    def test_a_job_is_enqueued_with_the_key_as_bearer(self):
        self.assert_enqueues_with_key_in("#auth-bearer-value")

    def test_a_job_is_enqueued_with_the_key_in_its_own_header(self):
        self.assert_enqueues_with_key_in("#api_key_value")

    def assert_enqueues_with_key_in(self, field):
        mail = {"template": "welcome", "to": "ada@example.com", "data": {"name": "Ada"}}
        job = {"kind": "email.send", "payload": mail, "tags": {"field": field}}

        self.authorise(field)
        BROWSER.click(f"{ENQUEUE} .opblock-summary-control")
        BROWSER.click(f"{ENQUEUE} .try-out__btn")
        BROWSER.fill(f"{ENQUEUE} textarea", json.dumps(job))
        BROWSER.click(f"{ENQUEUE} .execute")
        answer = f"{ENQUEUE} .live-responses-table .response"
        status = BROWSER.text(f"{answer} .response-col_status")

        self.assertEqual(status, "201", BROWSER.text(answer))
        shown = json.loads(BROWSER.text(f"{answer} .highlight-code code"))
        stored = ask(f"/v1/jobs/{quote(shown['id'])}", Authorization=f"Bearer {KEY}")
        self.assertEqual((stored["kind"], stored["tags"]), (job["kind"], job["tags"]))

    def authorise(self, field):
        """Hands the key to the page, in one of the fields of its dialogue."""
        BROWSER.click(".auth-wrapper .authorize.unlocked")
        BROWSER.fill(field, KEY)
        BROWSER.click(f".auth-container:has({field}) [type=submit]")
        BROWSER.click(".close-modal")
        BROWSER.text(".auth-wrapper .authorize.locked")


class ProblemsPage(QuietPage):
    """The page to which the `type` of every refusal leads."""

    def test_it_explains_the_refusal_that_a_link_names(self):
        self.open("/docs/problems#invalid-payload")

        text = BROWSER.text("#invalid-payload:target")

        self.assertEqual(text, "The payload does not fit its kind's schema")


class Disturbances(unittest.TestCase):
    """What the tests above hold pages to is seen where it is not so."""

    def test_an_error_on_the_console_is_seen(self):
        self.assert_seen("<script>console.error('spilt')</script>", "error on the console: .*spilt")

    def test_a_request_to_another_host_is_seen(self):
        self.assert_seen("<img src='http://elsewhere.test/eye.png'>", "another host: http://elsewhere.test/eye.png")

    def test_a_breach_of_the_policy_is_seen(self):
        policy = "<meta http-equiv='Content-Security-Policy' content=\"style-src 'none'\">"
        self.assert_seen(f"{policy}<style>p {{ color: red }}</style>", "Policy: style-src-elem forbids inline")

    def assert_seen(self, page, expected):
        BROWSER.open(f"data:text/html,{quote(page)}")
        BROWSER.wait_until_loaded()

        found = disturbances(BROWSER, HOST)

        self.assertRegex("\n".join(found), expected)


if __name__ == "__main__":
    unittest.main(verbosity=2)

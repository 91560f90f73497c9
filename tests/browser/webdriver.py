"""A small WebDriver client: a headless Chromium of its own for a test. Needs Python's standard library alone.

What it sees of a page (its console, its requests, what its policy forbade) it keeps until the next page is opened.
"""

import http.client
import json
import shutil
import time
from urllib.parse import urlsplit

# The longest wait for something that a page should come to show, in seconds.
DEADLINE_SECONDS = 30
# The longest wait for chromedriver's answer to one command, in seconds; starting the browser is the slowest.
COMMAND_SECONDS = 60
POLL_SECONDS = 0.05
# Of a page's text in a failed test's message, in characters.
LARGEST_TEXT = 4_000

FLAGS = (
    "--headless",
    "--no-sandbox",  # as root there is none
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--no-proxy-server",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--window-size=1400,1000",
)
# The name under which WebDriver's answers hold an element.
ELEMENT = "element-6066-11e4-a52e-4f735466cecf"
# What an element that is being drawn anew answers; a moment later it can be used.
PASSING = ("stale element reference", "element click intercepted", "element not interactable", "invalid element state")

NOTE_VIOLATIONS = """
    window.policyViolations = [];
    window.addEventListener("securitypolicyviolation", (event) => {
      window.policyViolations.push(`${event.effectiveDirective} forbids ${event.blockedURI}`);
    });
"""
VISIBLE = "return [...document.querySelectorAll(arguments[0])].filter((element) => element.checkVisibility())"
VALUE = "return arguments[0].value"


class WebDriverError(Exception):
    """Chromedriver refused a command; `kind` is the protocol's word for why."""

    def __init__(self, kind, message):
        super().__init__(f"{kind}: {message}")
        self.kind = kind


class Browser:
    """One Chromium with one page, from its start to `close`."""

    def __init__(self, driver_url, profile, hosts):
        """`profile` is a folder to itself; `hosts` says where names lead, every other name leads nowhere."""
        self._driver = urlsplit(driver_url).netloc
        self._session = ""
        self._console = []
        self._requests = []
        self._loading = set()
        rules = [f"MAP {name} {address}" for name, address in hosts.items()] + ["MAP * ~NOTFOUND"]
        options = {
            # Chromedriver would take Google's Chrome, of whatever version, where that is installed too.
            "binary": shutil.which("chromium"),
            "args": [*FLAGS, f"--user-data-dir={profile}", f"--host-resolver-rules={','.join(rules)}"],
        }
        wanted = {
            "browserName": "chrome",
            "goog:chromeOptions": options,
            "goog:loggingPrefs": {"browser": "ALL", "performance": "ALL"},
            "timeouts": {"pageLoad": DEADLINE_SECONDS * 1000, "script": DEADLINE_SECONDS * 1000},
        }
        answer = self._command("POST", "/session", {"capabilities": {"alwaysMatch": wanted}})
        self._session = f"/session/{answer['sessionId']}"
        self._devtools("Page.addScriptToEvaluateOnNewDocument", source=NOTE_VIOLATIONS)

    def close(self):
        """Ends the browser."""
        self._command("DELETE", self._session)

    def open(self, url):
        """Loads a page and forgets what was seen of the one before."""
        self._read_logs()
        self._console, self._requests, self._loading = [], [], set()
        self._command("POST", f"{self._session}/url", {"url": url})

    def run(self, script, *arguments):
        """Runs a script's text as a function's body in the page and gives what it returns."""
        return self._command("POST", f"{self._session}/execute/sync", {"script": script, "args": list(arguments)})

    def wait_until(self, what, condition):
        """What `condition` gives as soon as that counts as true; fails with what the page shows instead."""
        deadline = time.monotonic() + DEADLINE_SECONDS
        while True:
            found = condition()
            if found:
                return found
            if time.monotonic() > deadline:
                raise AssertionError(f"not within {DEADLINE_SECONDS} s: {what}\n{self.describe()}")
            time.sleep(POLL_SECONDS)

    def text(self, selector):
        """The text of the first visible element, once there is one."""
        return self._act(selector, lambda element: self._of_element("GET", element, "text"))

    def click(self, selector):
        """Clicks on the first visible element, once there is one that can be."""
        self._act(selector, lambda element: self._of_element("POST", element, "click", {}))

    def fill(self, selector, text):
        """Pastes a text into the first visible field, in place of its own."""
        self._act(selector, lambda element: self._of_element("POST", element, "clear", {}))
        self.click(selector)
        # Typed, each of its letters would have the page drawn anew.
        self._devtools("Input.insertText", text=text)
        self.wait_until(
            f"{selector} holds what was pasted",
            lambda: self._act(selector, lambda element: self.run(VALUE, element)) == text,
        )

    def wait_until_loaded(self):
        """Waits for the end of every request of the page so far."""
        self.wait_until("every request of the page has ended", self._has_loaded)

    def console_errors(self):
        """What the console shows as errors: the page's own, and Chromium's about the page."""
        self._read_logs()
        return [entry["message"] for entry in self._console if entry["level"] == "SEVERE"]

    def requests(self):
        """The address of each request that the page made, whether it was let through or not."""
        self._read_logs()
        return list(self._requests)

    def policy_violations(self):
        """What the page's Content-Security-Policy forbade it."""
        return self.run("return window.policyViolations")

    def describe(self):
        """What there is to see, for a failed test's message."""
        url, text = self.run("return [location.href, document.body ? document.body.innerText : '']")
        seen = [f"{url} shows:", text[:LARGEST_TEXT] or "(nothing)"]
        return "\n".join([*seen, *(f"console: {error}" for error in self.console_errors())])

    def _act(self, selector, action):
        """The answer to the first action on `selector` that is not refused for a passing reason."""
        done = self.wait_until(f"{selector} can be used", lambda: self._try(selector, action))
        return done[0]

    def _try(self, selector, action):
        """The action's answer in a list of its own, so that an empty answer counts too; nothing if it has to wait."""
        try:
            return [action(element) for element in self.run(VISIBLE, selector)[:1]]
        except WebDriverError as error:
            if error.kind not in PASSING:
                raise
            return []

    def _of_element(self, method, element, what, body=None):
        return self._command(method, f"{self._session}/element/{element[ELEMENT]}/{what}", body)

    def _devtools(self, command, **parameters):
        self._command("POST", f"{self._session}/goog/cdp/execute", {"cmd": command, "params": parameters})

    def _has_loaded(self):
        self._read_logs()
        return not self._loading

    def _read_logs(self):
        """Takes over what chromedriver collected: each reading empties its logs."""
        self._console += self._command("POST", f"{self._session}/se/log", {"type": "browser"})
        for entry in self._command("POST", f"{self._session}/se/log", {"type": "performance"}):
            event = json.loads(entry["message"])["message"]
            what, about = event["method"], event["params"]
            if what == "Network.requestWillBeSent":
                self._requests.append(about["request"]["url"])
                self._loading.add(about["requestId"])
            elif what == "Network.webSocketCreated":
                self._requests.append(about["url"])
            elif what in ("Network.loadingFinished", "Network.loadingFailed"):
                self._loading.discard(about["requestId"])

    def _command(self, method, path, body=None):
        connection = http.client.HTTPConnection(self._driver, timeout=COMMAND_SECONDS)
        try:
            connection.request(method, path, None if body is None else json.dumps(body).encode())
            answer = connection.getresponse()
            value = json.loads(answer.read())["value"]
        finally:
            connection.close()
        if answer.status != 200:
            raise WebDriverError(value["error"], value["message"])
        return value

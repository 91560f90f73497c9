"""The reference verifiers of Standard Webhooks, for Python and for Node, against a running Millpond: they must take what it
sends to an endpoint, and refuse it once a byte is another one.

MILLPOND_URL is a Millpond's address that may call this machine, MILLPOND_KEY_FILE has a key of it, and MILLPOND_NODE_MODULES is
the folder with the packages of tests/node.
"""

import http.server
import json
import os
import pathlib
import queue
import subprocess
import threading
import unittest
import urllib.request

from standardwebhooks import Webhook, WebhookVerificationError

URL = os.environ.get("MILLPOND_URL", "").rstrip("/")
KEY_FILE = os.environ.get("MILLPOND_KEY_FILE", "")
NODE_MODULES = os.environ.get("MILLPOND_NODE_MODULES", "")
VERIFY_IN_NODE = pathlib.Path(__file__).parent.parent / "node" / "verify.js"

# The longest wait for an answer or for a message, in seconds.
DEADLINE = 30
HEADERS = ("webhook-id", "webhook-timestamp", "webhook-signature")


class Receiver(http.server.BaseHTTPRequestHandler):
    """An endpoint that keeps what it is sent, byte for byte."""

    arrived = queue.Queue()

    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        headers = {name: self.headers[name] for name in HEADERS}
        self.send_response(204)
        self.end_headers()
        self.arrived.put((headers, body))

    def log_message(self, *_):
        pass


def call(path, body=None):
    """Posts to the API; answers its JSON."""
    key = pathlib.Path(KEY_FILE).read_text().strip()
    request = urllib.request.Request(
        f"{URL}/v1/webhook-endpoints{path}",
        method="POST",
        data=None if body is None else json.dumps(body).encode(),
        headers={"authorization": f"Bearer {key}", "content-type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=DEADLINE) as answer:
        return json.loads(answer.read())


def is_ours(delivery):
    """What a receiver in Python says of a delivery."""
    try:
        Webhook(delivery["secret"]).verify(delivery["body"], delivery["headers"])
    except WebhookVerificationError:
        return False
    return True


def verdicts_in_node(deliveries):
    """What a receiver in Node says of deliveries."""
    told = subprocess.run(
        ["node", VERIFY_IN_NODE],
        input=json.dumps(deliveries),
        env={**os.environ, "NODE_PATH": NODE_MODULES},
        capture_output=True,
        text=True,
        timeout=DEADLINE,
        check=False,
    )
    if told.returncode:
        raise AssertionError(f"the verifier for Node failed: {told.stderr}")
    return json.loads(told.stdout)


def forgeries(delivery):
    """The delivery with a change each that a receiver must not take."""
    headers, body = delivery["headers"], delivery["body"]
    stranger = "whsec_" + "A" * 43 + "="
    later = str(int(headers["webhook-timestamp"]) + 1)
    return [
        {**delivery, "body": body.replace("webhook", "webhooK", 1)},
        {**delivery, "body": body + " "},
        {**delivery, "headers": {**headers, "webhook-id": headers["webhook-id"] + "0"}},
        {**delivery, "headers": {**headers, "webhook-timestamp": later}},
        {**delivery, "secret": stranger},
    ]


class VerifiersTest(unittest.TestCase):
    """Deliveries by a real process, judged by other people's code."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        if not (URL and KEY_FILE and NODE_MODULES):
            raise RuntimeError("MILLPOND_URL, MILLPOND_KEY_FILE or MILLPOND_NODE_MODULES is not set")
        cls.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
        cls.addClassCleanup(cls.server.server_close)
        threading.Thread(target=cls.server.serve_forever, daemon=True).start()
        cls.addClassCleanup(cls.server.shutdown)

    def setUp(self):
        super().setUp()
        port = self.server.server_address[1]
        made = call("", {"url": f"http://127.0.0.1:{port}/hooks", "description": "café"})
        self.path, self.secret = f"/{made['id']}", made["secret"]

    def delivered(self, secret):
        """What arrives once somebody tries the endpoint out, for a receiver with this secret."""
        told = call(f"{self.path}/test")
        headers, body = Receiver.arrived.get(timeout=DEADLINE)
        self.assertEqual(headers["webhook-id"], told["webhook_id"])
        return {"secret": secret, "headers": headers, "body": body.decode()}

    def assert_judged(self, deliveries, verdict):
        self.assertEqual([is_ours(it) for it in deliveries], [verdict] * len(deliveries))
        self.assertEqual(verdicts_in_node(deliveries), [verdict] * len(deliveries))

    def test_a_message_is_taken_and_a_changed_one_refused(self):
        delivery = self.delivered(self.secret)

        self.assertEqual(json.loads(delivery["body"])["type"], "webhook.test")
        self.assert_judged([delivery], True)
        self.assert_judged(forgeries(delivery), False)

    def test_receivers_with_either_secret_take_what_is_sent_while_it_is_replaced(self):
        newer = call(f"{self.path}/rotate-secret", {"overlap": "1h"})["secret"]
        meanwhile = self.delivered(newer)
        newest = call(f"{self.path}/rotate-secret", {"overlap": "0s"})["secret"]
        afterwards = self.delivered(newest)

        self.assertEqual(len(meanwhile["headers"]["webhook-signature"].split(" ")), 2)
        self.assert_judged([meanwhile, {**meanwhile, "secret": self.secret}, afterwards], True)
        self.assert_judged([{**afterwards, "secret": newer}, *forgeries(meanwhile)], False)

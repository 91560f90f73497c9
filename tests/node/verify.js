// Judges deliveries as a receiver in Node does, by the reference verifier of Standard Webhooks.
// Takes a JSON list of {secret, headers, body} on its input, and prints a list of true (it is ours) and false (it is not).

const { readFileSync } = require("node:fs");
const { Webhook, WebhookVerificationError } = require("standardwebhooks");

function isOurs({ secret, headers, body }) {
  try {
    new Webhook(secret).verify(body, headers);
    return true;
  } catch (error) {
    // Whatever else goes wrong is no verdict.
    if (error instanceof WebhookVerificationError) return false;
    throw error;
  }
}

const deliveries = JSON.parse(readFileSync(0, "utf8"));
process.stdout.write(JSON.stringify(deliveries.map(isOurs)));

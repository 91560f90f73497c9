//! What `GET /v1/metrics` tells of accounts that were synced and rolled up by real processes, against what the sandbox exports of
//! its world hour by hour; and how fast it is told.

mod answers;
mod scene;
mod speed;
mod truth;
mod year;

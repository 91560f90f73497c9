//! The key of a job's effect, the same on every attempt and every replay, so that whoever honours keys does it once.

use queue::{JobId, JobInfo};

/// The id that Message-IDs, event ids and `webhook-id` are made of.
pub(crate) fn effect_key(job: &JobInfo) -> JobId {
    job.replay_of.unwrap_or(job.id)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kinds::testing::job_info;

    #[test]
    fn a_replay_has_the_key_of_what_it_replays() {
        let original = job_info("http.request", 1);
        let replay = JobInfo {
            replay_of: Some(original.id),
            ..job_info("http.request", 1)
        };

        assert_eq!(effect_key(&replay), effect_key(&original));
        assert_ne!(replay.id, original.id);
    }
}

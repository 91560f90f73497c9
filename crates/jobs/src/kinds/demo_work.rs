//! `demo.work`: work that can be told to take its time and to fail, so that every state can be seen. Registered by
//! [`super::registry_with_demo`] alone.

use std::time::Duration;

use queue::{ErrorClass, Job, JobContext, JobInfo, LogLevel, Outcome};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::{App, error::Error};

/// Most steps of one attempt.
const MOST_STEPS: u32 = 100;
/// Longest an attempt works.
const LONGEST_WORK: Duration = Duration::from_secs(60);

/// Pretends to work. Idempotent: it changes nothing.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct DemoWork {
    /// Into how many steps the work falls; each is a line of the job's log.
    #[serde(default = "one_step")]
    #[schemars(range(min = 1, max = 100))]
    steps: u32,
    /// Which attempts fail.
    #[serde(default)]
    fail: Fail,
    /// The class of the failures.
    #[serde(default = "transient")]
    #[schemars(with = "String", extend("enum" = ErrorClass::WORDS))]
    class: ErrorClass,
    /// How long an attempt works, in milliseconds.
    #[serde(default)]
    #[schemars(range(max = 60_000))]
    work_ms: u64,
}

/// Which attempts fail.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Fail {
    #[default]
    Never,
    /// The first.
    Once,
    /// All.
    Always,
    /// About every second one.
    Flaky,
}

impl Job for DemoWork {
    const KIND: &'static str = "demo.work";
    type App = App;
    type Error = Error;

    async fn run(self, ctx: &JobContext<App>) -> Result<Outcome, Error> {
        let steps = self.steps.clamp(1, MOST_STEPS);
        let pause = Duration::from_millis(self.work_ms).min(LONGEST_WORK) / steps;
        for step in 1..=steps {
            // Both are safe to drop: neither has done anything before it is over.
            tokio::select! {
                () = ctx.cancellation().cancelled() => return Err(Error::Stopped),
                () = tokio::time::sleep(pause) => {}
            }
            ctx.progress(json!({ "step": step, "of": steps }));
            ctx.log(LogLevel::Info, &format!("step {step} of {steps} is done"));
        }
        if self.fail.strikes(&ctx.job) {
            ctx.log(LogLevel::Warn, "this attempt fails, as it was told to");
            return Err(Error::ToldToFail(self.class));
        }
        Ok(Outcome::SucceededWith(json!({ "steps": steps })))
    }
}

impl Fail {
    fn strikes(self, job: &JobInfo) -> bool {
        match self {
            Self::Never => false,
            Self::Once => job.attempt == 1,
            Self::Always => true,
            Self::Flaky => is_unlucky(job),
        }
    }
}

/// A coin for each attempt that falls the same way whenever it is looked at.
fn is_unlucky(job: &JobInfo) -> bool {
    let (_, random) = job.id.0.as_u64_pair();
    let mixed = random
        .wrapping_add(u64::from(job.attempt))
        .wrapping_mul(0x9e37_79b9_7f4a_7c15);
    mixed >> 63 == 1
}

fn one_step() -> u32 {
    1
}

fn transient() -> ErrorClass {
    ErrorClass::Transient
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kinds::testing::job_info;

    #[test]
    fn attempts_fail_as_they_were_told_to() {
        let struck =
            |fail: Fail| [1, 2, 3].map(|attempt| fail.strikes(&job_info(DemoWork::KIND, attempt)));

        assert_eq!(struck(Fail::Never), [false, false, false]);
        assert_eq!(struck(Fail::Once), [true, false, false]);
        assert_eq!(struck(Fail::Always), [true, true, true]);
    }

    #[test]
    fn flaky_attempts_fail_about_half_of_the_time() {
        let failed = (0..1_000)
            .filter(|_| Fail::Flaky.strikes(&job_info(DemoWork::KIND, 1)))
            .count();

        assert!((350..650).contains(&failed), "{failed} of 1,000 failed");
    }

    #[test]
    fn what_is_left_out_of_the_payload_has_a_default() {
        let work: DemoWork = serde_json::from_str("{}").expect("all members are optional");

        assert_eq!((work.steps, work.fail, work.work_ms), (1, Fail::Never, 0));
        assert_eq!(work.class, ErrorClass::Transient);
    }

    #[test]
    fn a_class_that_does_not_exist_is_refused() {
        assert!(serde_json::from_str::<DemoWork>(r#"{"class": "sad"}"#).is_err());
    }
}

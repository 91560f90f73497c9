//! One run: rounds of faults while clients enqueue, and the check after each. It ends at the first finding, since what
//! comes after that proves nothing.

use std::time::{Duration, Instant};

use futures::future::join_all;
use tokio::{sync::watch, task::JoinSet};

use super::{
    Settings,
    clients::Upstream,
    conservation,
    ledger::Ledger,
    nemesis, observe, passes,
    plan::{Planner, Round, Step},
    report::Report,
    scene::Scene,
};

/// Clients that enqueue all the time.
const CLIENTS: usize = 8;
/// How long jobs flow undisturbed before a round's faults and after them.
const CALM: Duration = Duration::from_millis(700);

/// A run under way.
pub(super) struct Run {
    settings: Settings,
    scene: Scene,
    planner: Planner,
    report: Report,
    /// Of all rounds so far.
    ledger: Ledger,
}

impl Run {
    pub(super) async fn begin(settings: Settings) -> anyhow::Result<Self> {
        let how_long = match settings.lasts {
            Some(lasts) => format!("for {} minutes", lasts.as_secs() / 60),
            None => "each fault once".to_owned(),
        };
        Ok(Self {
            planner: Planner::new(settings.seed, &settings.faults)?,
            report: Report::begin(settings.seed, &how_long)?,
            scene: Box::pin(Scene::set_up(settings.seed)).await?,
            settings,
            ledger: Ledger::default(),
        })
    }

    /// Plays every round and gives the number of findings.
    pub(super) async fn finish(mut self) -> anyhow::Result<usize> {
        let begun = Instant::now();
        let mut rounds = self.planner.each_once();
        rounds.reverse();
        loop {
            let is_over = self
                .settings
                .lasts
                .is_some_and(|lasts| begun.elapsed() >= lasts);
            if is_over || self.report.has_findings() {
                break;
            }
            let steps = match (rounds.pop(), self.settings.lasts) {
                (Some(steps), _) => steps,
                (None, Some(_)) => self.planner.another(),
                (None, None) => break,
            };
            Box::pin(self.round(steps)).await?;
        }
        let panics = self.scene.fleet.lock().await.panics()?;
        self.report.found(panics)?;
        let found = self.report.end(self.settings.seed)?;
        if found > 0 {
            let kept = self.scene.keep();
            self.report.say(&format!(
                "logs and the receiver's ledger are kept in {}",
                kept.display()
            ))?;
        }
        Ok(found)
    }

    async fn round(&mut self, steps: Round) -> anyhow::Result<()> {
        let number = self.report.round(&steps)?;
        let (stop, stopped) = watch::channel(false);
        let mut clients = JoinSet::new();
        for n in 0..CLIENTS {
            let (door, name) = (self.scene.door.clone(), format!("r{number}-c{n}"));
            let client = Upstream::new(door, self.settings.seed, name);
            clients.spawn(client.run(stopped.clone()));
        }
        passes(CALM).await;

        let mut ledger = inject(&self.scene, &steps).await;
        let mut findings = self.scene.fleet.lock().await.casualties()?;
        if let Err(error) = self.scene.heal().await {
            // Without a whole fleet the clients would wait in vain.
            findings.push(format!("not healed: {error:#}"));
            findings.extend(ledger.complaints);
            return self.report.found(findings);
        }
        let healed = Instant::now();
        passes(CALM).await;
        stop.send_replace(true);
        while let Some(client) = clients.join_next().await {
            ledger.add(client?);
        }
        if let Err(error) = observe::quiet(&self.scene).await {
            findings.push(format!("{error:#}"));
        }
        self.check(ledger, findings, healed.elapsed()).await
    }

    async fn check(
        &mut self,
        mut round: Ledger,
        mut findings: Vec<String>,
        settled: Duration,
    ) -> anyhow::Result<()> {
        findings.append(&mut round.complaints);
        self.ledger.sent.extend(round.sent.iter().cloned());
        let evidence = observe::evidence(&self.scene, &self.ledger.sent).await?;
        let violations = conservation::violations(&evidence);
        findings.extend(violations.iter().map(ToString::to_string));
        self.report.ended(&round, &evidence, settled, findings)
    }
}

async fn inject(scene: &Scene, steps: &[Step]) -> Ledger {
    let mut ledger = Ledger::default();
    let injected = steps.iter().map(|step| nemesis::inject(scene, step));
    for of_step in join_all(injected).await {
        ledger.add(of_step);
    }
    ledger
}

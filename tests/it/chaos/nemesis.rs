//! The nemesis: injects a fault, lets it last, and takes it back. What it holds it gives back itself; what it killed is
//! started again when the round is healed.

use std::time::{Duration, Instant};

use super::{
    database_faults, faults::Fault, fleet::Fleet, ledger::Ledger, now, passes, plan::Step,
    proxy::Mode, rude, scene::Scene,
};

/// Delay of a slow network, for every chunk and each way.
const SLOW: Duration = Duration::from_millis(60);
/// Between two resets of all connections.
const RESET_EVERY: Duration = Duration::from_millis(400);

/// Which process a step means, if it means one.
pub(super) fn target(step: &Step) -> Option<usize> {
    match step.entry.fault {
        Fault::Killed | Fault::KilledUnanswered | Fault::Terminated | Fault::Pause => {
            Some(Fleet::target(step.target, false))
        }
        Fault::KilledSettling | Fault::Zombie => Some(Fleet::target(step.target, true)),
        _ => None,
    }
}

/// Injects a fault and takes it back; gives what the fault itself asked of Millpond, and what was wrong with the answers.
pub(super) async fn inject(scene: &Scene, step: &Step) -> Ledger {
    let injected = match step.entry.fault {
        Fault::Killed
        | Fault::KilledUnanswered
        | Fault::KilledSettling
        | Fault::Terminated
        | Fault::Zombie
        | Fault::Pause => Box::pin(against_process(scene, step)).await,
        Fault::Restarted | Fault::Crashed | Fault::CrashedLong | Fault::DatabaseKilled => {
            Box::pin(against_server(scene, step)).await
        }
        Fault::SessionsCut | Fault::TableLock | Fault::StatementsCancelled | Fault::OldSnapshot => {
            Box::pin(database_faults::inject(scene, step)).await
        }
        Fault::BlackHole => network(scene, step, Mode::BlackHole).await,
        Fault::HalfOpen => network(scene, step, Mode::HalfOpen).await,
        Fault::Refused => network(scene, step, Mode::Refuse).await,
        Fault::Reset => {
            let begun = Instant::now();
            while begun.elapsed() < step.lasts {
                scene.proxy.cut();
                passes(RESET_EVERY).await;
            }
            Ok(Ledger::default())
        }
        Fault::SlowNetwork => network(scene, step, Mode::Slow(SLOW)).await,
        Fault::RudeClients => {
            let name = format!("rude-{}", step.seed);
            let api = (scene.api_base.as_str(), scene.api_key.as_str());
            Ok(Box::pin(rude::behave(&scene.door, api, &name)).await)
        }
        Fault::Storm => {
            scene.receiver.storm(true);
            passes(step.lasts).await;
            scene.receiver.storm(false);
            Ok(Ledger::default())
        }
    };
    injected.unwrap_or_else(|error| {
        let mut ledger = Ledger::default();
        ledger.complain(format!(
            "{} ({}) could not be tried as it should: {error:#}",
            step.entry.id, step.entry.what
        ));
        ledger
    })
}

async fn network(scene: &Scene, step: &Step, mode: Mode) -> anyhow::Result<Ledger> {
    scene.proxy.set(mode);
    passes(step.lasts).await;
    scene.proxy.set(Mode::Pass);
    Ok(Ledger::default())
}

async fn against_process(scene: &Scene, step: &Step) -> anyhow::Result<Ledger> {
    let mut ledger = Ledger::default();
    let Some(target) = target(step) else {
        return Ok(ledger);
    };
    match step.entry.fault {
        Fault::KilledUnanswered => {
            scene.proxy.set(Mode::SwallowAnswers);
            passes(step.lasts).await;
            scene.fleet.lock().await.kill(target)?;
            scene.proxy.set(Mode::Pass);
        }
        Fault::KilledSettling => {
            let rows = database_faults::lock_running(scene).await?;
            passes(step.lasts).await;
            scene.fleet.lock().await.kill(target)?;
            rows.let_go().await?;
        }
        Fault::Terminated => {
            let mut fleet = scene.fleet.lock().await;
            fleet.signal(target, "TERM")?;
            match fleet.ended(target).await {
                Ok(status) if status.success() => {}
                Ok(status) => ledger.complain(format!(
                    "{} ended with {status} after SIGTERM",
                    Fleet::name(target)
                )),
                Err(error) => ledger.complain(format!("{}: {error:#}", Fleet::name(target))),
            }
        }
        Fault::Zombie | Fault::Pause => {
            scene.fleet.lock().await.signal(target, "STOP")?;
            passes(step.lasts).await;
            scene.fleet.lock().await.signal(target, "CONT")?;
        }
        _ => {
            scene.fleet.lock().await.kill(target)?;
            passes(step.lasts).await;
        }
    }
    scene.fleet.lock().await.revive()?;
    Ok(ledger)
}

async fn against_server(scene: &Scene, step: &Step) -> anyhow::Result<Ledger> {
    let mut ledger = Ledger::default();
    let mut postgres = scene.postgres.lock().await;
    match step.entry.fault {
        Fault::Restarted => postgres.stop("fast").await?,
        Fault::DatabaseKilled => {
            scene.excuse(|excuses| excuses.crashes.push(now()));
            postgres.kill().await?;
        }
        _ => {
            scene.excuse(|excuses| excuses.crashes.push(now()));
            postgres.stop("immediate").await?;
        }
    }
    let gone = Instant::now();
    passes(step.lasts).await;
    if gone.elapsed() > Duration::from_secs(3) {
        health(scene, &mut ledger).await;
    }
    Box::pin(postgres.start()).await?;
    Ok(ledger)
}

/// Without its database a process lives and says that it is not ready. One that does not answer has a fault of its own.
async fn health(scene: &Scene, ledger: &mut Ledger) {
    let (alive, ready) = (
        scene.door.health("/livez").await,
        scene.door.health("/readyz").await,
    );
    if alive.is_some_and(|status| !status.is_success()) {
        ledger.complain(format!("/livez answered {alive:?} without the database"));
    }
    if ready.is_some_and(|status| status.as_u16() != 503) {
        ledger.complain(format!("/readyz answered {ready:?} without the database"));
    }
}

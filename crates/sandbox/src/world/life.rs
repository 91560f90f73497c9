//! What has become of things by now: their plans, what somebody changed, and what their parents do
//! to them.

use chrono::{DateTime, Utc};

use super::{
    Effective, Entity, Key, Kind, Status, World, calendar, ids, plan, spans::Spans,
    traffic::Traffic,
};

impl World {
    /// Whether there is such a thing by now.
    pub(super) fn exists(&self, key: Key) -> bool {
        if key.account >= self.accounts {
            return false;
        }
        if key.kind == Kind::Account {
            return true;
        }
        key.n < plan::slots(key.platform, key.kind, self.campaigns)
            && plan::is_taken(self.seed, key)
            && plan::created_at(self.seed, key) <= self.now()
    }

    /// A thing that exists, as it is now.
    pub(super) fn living(&self, key: Key) -> Entity {
        let now = self.now();
        let mut entity = self.own(key, now);
        entity.effective = self.effective(&entity, now);
        entity
    }

    /// A thing by its own plan and changes alone.
    fn own(&self, key: Key, now: DateTime<Utc>) -> Entity {
        let plan = plan::plan(self.seed, key);
        let mut entity = Entity {
            key,
            id: ids::text(key),
            name: plan.name,
            status: plan.first,
            effective: Effective::Active,
            objective: plan.objective,
            daily_budget_micros: plan.daily_budget_micros,
            lifetime_budget_micros: plan.lifetime_budget_micros,
            starts_at: plan.starts_at,
            ends_at: plan.ends_at,
            created_at: plan.created_at,
            updated_at: plan.created_at,
        };
        let changes = self.changes();
        if let Some((at, status)) = changes.still_planned(key, plan.then)
            && at <= now
        {
            entity.status = status;
            entity.updated_at = at;
        }
        changes.apply(&mut entity, now);
        entity
    }

    fn effective(&self, entity: &Entity, now: DateTime<Utc>) -> Effective {
        let above = entity
            .key
            .parent()
            .filter(|parent| parent.kind != Kind::Account)
            .map(|parent| {
                let parent = self.own(parent, now);
                let effective = self.effective(&parent, now);
                (parent.key.kind, effective)
            });
        let over = entity.ends_at.is_some_and(|ends_at| ends_at <= now);
        match (entity.status, above) {
            (Status::Deleted, _) | (_, Some((_, Effective::Deleted))) => Effective::Deleted,
            (Status::Archived, _) | (_, Some((_, Effective::Archived))) => Effective::Archived,
            (Status::Disapproved, _) => Effective::Disapproved,
            (Status::InReview, _) => Effective::InReview,
            (Status::Paused, _) => Effective::Paused,
            (
                _,
                Some((Kind::Campaign, Effective::Paused)) | Some((_, Effective::CampaignPaused)),
            ) => Effective::CampaignPaused,
            (_, Some((Kind::AdSet, Effective::Paused))) => Effective::AdSetPaused,
            (Status::WithIssues, _) | (_, Some((_, Effective::WithIssues))) => {
                Effective::WithIssues
            }
            (Status::Active, Some((_, Effective::Ended))) => Effective::Ended,
            (Status::Active, _) if over => Effective::Ended,
            (Status::Active, _) => Effective::Active,
        }
    }

    /// An ad's traffic.
    pub(super) fn traffic_of(&self, ad: Key) -> Traffic {
        let dice = plan::of(self.seed, ad);
        let objective = plan::objective(self.seed, ad);
        let Some(campaign) = ad.campaign() else {
            return Traffic::new(dice, ad, objective, 0, Spans::default());
        };
        let daily = plan::spend_a_day(self.seed, campaign);
        let mut spans = self.own_spans(ad);
        let mut above = ad.parent();
        while let Some(key) = above.filter(|key| key.kind != Kind::Account) {
            spans = spans.and(&self.own_spans(key));
            above = key.parent();
        }
        Traffic::new(dice, ad, objective, daily, spans)
    }

    /// The hours for which a thing by itself would deliver.
    fn own_spans(&self, key: Key) -> Spans {
        let plan = plan::plan(self.seed, key);
        let changes = self.changes();
        let mut statuses = vec![(plan.starts_at, plan.first)];
        statuses.extend(changes.still_planned(key, plan.then));
        statuses.extend(changes.statuses(key));
        let switches: Vec<_> = statuses
            .into_iter()
            .map(|(at, status)| (calendar::hour_from(at), status == Status::Active))
            .collect();
        let spans = Spans::between(&switches);
        match plan.ends_at {
            Some(ends_at) => spans.and(&Spans::between(&[
                (i64::MIN, true),
                (calendar::hour_from(ends_at), false),
            ])),
            None => spans,
        }
    }
}

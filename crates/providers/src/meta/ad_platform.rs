//! Meta as one of the ad platforms.

use futures::future::BoxFuture;

use super::{Meta, PLATFORM, entities, insights, lead_forms};
use crate::{
    error::Error,
    platform::{
        AdAccount, AdPlatform, Authorization, AuthorizeRequest, Caller, CodeExchange, Cursor, Door,
        EditOrder, Edited, Entity, EntityQuery, EntityType, Grant, Granularity, InsightQuery,
        InsightRow, Insights, Page, Platform, ReportRun, ReportState, TokenHealth, Tokens,
    },
};

impl AdPlatform for Meta {
    fn platform(&self) -> Platform {
        PLATFORM
    }

    fn entity_types(&self) -> &'static [EntityType] {
        &entities::TYPES
    }

    fn finest(&self) -> Granularity {
        Granularity::Hour
    }

    fn restated_days(&self) -> u32 {
        insights::RESTATED_DAYS
    }

    fn lists_changes(&self, of: EntityType) -> bool {
        matches!(
            of,
            EntityType::Campaign | EntityType::AdSet | EntityType::Ad
        )
    }

    fn is_of_the_grant(&self, of: EntityType) -> bool {
        matches!(
            of,
            EntityType::Page | EntityType::InstagramAccount | EntityType::LeadForm
        )
    }

    fn may_be_withheld(&self, at: &Cursor) -> bool {
        lead_forms::is_behind_the_last(at)
    }

    fn longest_window(&self, granularity: Granularity) -> u32 {
        match granularity {
            Granularity::Hour => insights::LONGEST_HOURS_DAYS,
            Granularity::Day => insights::LONGEST_DAYS,
        }
    }

    fn accounts<'a>(
        &'a self,
        caller: Caller<'a>,
        after: Option<&'a Cursor>,
    ) -> BoxFuture<'a, Result<Page<AdAccount>, Error>> {
        Box::pin(self.list_accounts(caller, after))
    }

    fn account<'a>(
        &'a self,
        caller: Caller<'a>,
        account_id: &'a str,
    ) -> BoxFuture<'a, Result<AdAccount, Error>> {
        Box::pin(self.one_account(caller, account_id))
    }

    fn entities<'a>(
        &'a self,
        caller: Caller<'a>,
        query: &'a EntityQuery,
        after: Option<&'a Cursor>,
    ) -> BoxFuture<'a, Result<Page<Entity>, Error>> {
        Box::pin(self.list_entities(caller, query, after))
    }

    fn insights<'a>(
        &'a self,
        caller: Caller<'a>,
        query: &'a InsightQuery,
        after: Option<&'a Cursor>,
    ) -> BoxFuture<'a, Result<Insights, Error>> {
        Box::pin(async move {
            if query.in_background && after.is_none() {
                let run = self.start_report(caller, query).await?;
                return Ok(Insights::Started(run));
            }
            let rows = self.figures(caller, query, after).await?;
            Ok(Insights::Rows(rows))
        })
    }

    fn report<'a>(
        &'a self,
        caller: Caller<'a>,
        run: &'a ReportRun,
    ) -> BoxFuture<'a, Result<ReportState, Error>> {
        Box::pin(self.report_state(caller, run))
    }

    fn report_rows<'a>(
        &'a self,
        caller: Caller<'a>,
        run: &'a ReportRun,
        query: &'a InsightQuery,
        after: Option<&'a Cursor>,
    ) -> BoxFuture<'a, Result<Page<InsightRow>, Error>> {
        Box::pin(self.report_page(caller, run, query, after))
    }

    fn present<'a>(
        &'a self,
        caller: Caller<'a>,
        query: &'a EntityQuery,
        ids: &'a [String],
    ) -> BoxFuture<'a, Result<Vec<Entity>, Error>> {
        Box::pin(self.list_present(caller, query, ids))
    }

    fn edit<'a>(
        &'a self,
        caller: Caller<'a>,
        order: &'a EditOrder,
    ) -> BoxFuture<'a, Result<Vec<Edited>, Error>> {
        Box::pin(self.make_edits(caller, order))
    }

    fn authorize_url(&self, request: &AuthorizeRequest) -> Result<Authorization, Error> {
        self.dialog(request)
    }

    fn exchange<'a>(
        &'a self,
        door: &'a dyn Door,
        exchange: &'a CodeExchange,
    ) -> BoxFuture<'a, Result<Tokens, Error>> {
        Box::pin(self.tokens_for_code(door, exchange))
    }

    fn refresh<'a>(
        &'a self,
        door: &'a dyn Door,
        grant: &'a Grant,
    ) -> BoxFuture<'a, Result<Tokens, Error>> {
        Box::pin(self.renewed_tokens(door, &grant.access_token))
    }

    fn check<'a>(
        &'a self,
        door: &'a dyn Door,
        grant: &'a Grant,
    ) -> BoxFuture<'a, Result<TokenHealth, Error>> {
        Box::pin(async move {
            let looked_at = self.look_at(door, &grant.access_token).await?;
            Ok(looked_at.health)
        })
    }

    fn stop_events<'a>(
        &'a self,
        caller: Caller<'a>,
        page_id: &'a str,
    ) -> BoxFuture<'a, Result<bool, Error>> {
        Box::pin(self.stop_page_events(caller, page_id))
    }

    fn revoke<'a>(
        &'a self,
        door: &'a dyn Door,
        grant: &'a Grant,
    ) -> BoxFuture<'a, Result<bool, Error>> {
        Box::pin(self.take_back(door, &grant.access_token))
    }
}

//! Rates of exchange, as operators load them from a file: what a unit of a currency was worth on a day in the one currency
//! in which everything is reported. What was added up at other rates is marked to be added up anew.

use std::collections::{BTreeMap, BTreeSet};

use chrono::NaiveDate;
use queue::Queue;
use rust_decimal::Decimal;
use serde::Serialize;
use sqlx::{Connection as _, PgConnection};

use crate::store::{
    LONG_DEADLINE, Session, StoreError, insights,
    rates::{self, RateRows},
    within,
};

/// Most rates of one statement.
const BATCH: usize = 5_000;
/// Most rates of one file.
const MOST_RATES: usize = 500_000;
/// Most wrong lines that are told of.
const MOST_TOLD: usize = 20;
/// Highest rate: beyond it, what it makes of large amounts could not be told any more.
const HIGHEST: Decimal = Decimal::from_parts(1_000_000, 0, 0, false, 0);
/// The columns, in the order that holds where no header names another.
const COLUMNS: [&str; 3] = ["day", "currency", "rate"];

/// The rates of a file.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct RateFile {
    rates: BTreeMap<(String, NaiveDate), Decimal>,
}

/// A line that is no rate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WrongLine {
    /// From 1.
    pub line: usize,
    /// What is wrong with it.
    pub problem: &'static str,
}

/// Why a file was not read.
#[derive(Debug, thiserror::Error)]
pub enum RateFileError {
    /// Lines that are no rates, up to 20.
    #[error("{}", told(.0))]
    Lines(Vec<WrongLine>),
    /// There is no rate.
    #[error("the file has no rates: give lines such as 2026-11-20,USD,0.8621")]
    Empty,
    /// There are too many.
    #[error("the file has more than {} rates: split it", MOST_RATES)]
    TooMany,
}

/// Why rates were not loaded.
#[derive(Debug, thiserror::Error)]
pub enum RatesError {
    /// Nobody has said in which currency everything is reported, and the file does not tell.
    #[error(
        "which currency do these rates lead to? Say --reporting-currency EUR once, or give that currency the rate 1 in the file"
    )]
    NoReportingCurrency,
    /// The rates that are there lead to another currency.
    #[error("the rates that are there lead to {0}: --start-over forgets all of them first")]
    OtherReportingCurrency(String),
    /// The reporting currency is not worth itself.
    #[error("the rate of {0} to itself must be 1")]
    NotOne(String),
    /// A word that is no currency.
    #[error("{0:?} is no currency: three capital letters such as EUR")]
    NoCurrency(String),
    /// The database did not take part.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What was loaded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LoadedRates {
    /// In which currency everything is reported.
    pub reporting_currency: String,
    /// Rates that the file has.
    pub rates: usize,
    /// Those that were new or differed.
    pub changed: usize,
    /// Days and months of accounts that will be added up anew.
    pub marked: u64,
}

fn told(lines: &[WrongLine]) -> String {
    let told = lines
        .iter()
        .map(|wrong| format!("line {}: {}", wrong.line, wrong.problem));
    told.collect::<Vec<_>>().join("; ")
}

impl RateFile {
    /// Reads `day,currency,rate` a line; a first line may name the columns, in whatever order. A rate is how many units of
    /// the reporting currency one unit of the currency is worth.
    ///
    /// # Errors
    /// With everything that is wrong, up to 20 lines.
    pub fn parse(text: &str) -> Result<Self, RateFileError> {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let mut order = [0, 1, 2];
        let mut rates = BTreeMap::new();
        let mut wrong = Vec::new();
        let lines = text.lines().zip(1_usize..);
        let lines = lines.filter(|(line, _)| !line.trim().is_empty());
        for (place, (line, number)) in lines.enumerate() {
            let cells = cells(line);
            if place == 0
                && let Some(named) = header(&cells)
            {
                order = named;
                continue;
            }
            match rate(&cells, order) {
                Ok((key, rate)) => {
                    if rates.insert(key, rate).is_some_and(|before| before != rate) {
                        wrong.push(WrongLine {
                            line: number,
                            problem: "the currency has another rate on the same day above",
                        });
                    }
                }
                Err(problem) => wrong.push(WrongLine {
                    line: number,
                    problem,
                }),
            }
            if wrong.len() >= MOST_TOLD {
                break;
            }
            if rates.len() > MOST_RATES {
                return Err(RateFileError::TooMany);
            }
        }
        match (wrong.is_empty(), rates.is_empty()) {
            (false, _) => Err(RateFileError::Lines(wrong)),
            (true, true) => Err(RateFileError::Empty),
            (true, false) => Ok(Self { rates }),
        }
    }

    /// The one currency whose rate is 1 on all days that it has.
    fn unit(&self) -> Option<&str> {
        let currencies: BTreeSet<&str> = self.rates.keys().map(|(it, _)| it.as_str()).collect();
        let mut units = currencies
            .into_iter()
            .filter(|currency| self.is_one(currency));
        let unit = units.next();
        unit.filter(|_| units.next().is_none())
    }

    fn is_one(&self, currency: &str) -> bool {
        let mut rates = self.rates.iter();
        rates.all(|((of, _), rate)| of != currency || *rate == Decimal::ONE)
    }

    fn rows(&self) -> Vec<RateRows> {
        let mut batches = Vec::new();
        let mut batch = RateRows::default();
        for ((currency, day), rate) in &self.rates {
            batch.currencies.push(currency.clone());
            batch.days.push(*day);
            batch.rates.push(*rate);
            if batch.days.len() == BATCH {
                batches.push(std::mem::take(&mut batch));
            }
        }
        if !batch.days.is_empty() {
            batches.push(batch);
        }
        batches
    }
}

fn cells(line: &str) -> Vec<&str> {
    line.split(',')
        .map(|cell| cell.trim().trim_matches('"').trim())
        .collect()
}

/// Where the columns are, if this line names them.
fn header(cells: &[&str]) -> Option<[usize; 3]> {
    let place = |name: &str| {
        cells
            .iter()
            .position(|cell| cell.eq_ignore_ascii_case(name))
    };
    let [day, currency, rate] = COLUMNS.map(place);
    Some([day?, currency?, rate?])
}

type Rate = ((String, NaiveDate), Decimal);

fn rate(cells: &[&str], order: [usize; 3]) -> Result<Rate, &'static str> {
    let [Some(day), Some(currency), Some(rate)] = order.map(|place| cells.get(place).copied())
    else {
        return Err("must have a day, a currency and a rate");
    };
    let day = NaiveDate::parse_from_str(day, "%Y-%m-%d")
        .map_err(|_| "the day must be as in 2026-11-20")?;
    if !is_currency(currency) {
        return Err("the currency must be three capital letters such as USD");
    }
    let rate = Decimal::from_str_exact(rate).ok();
    let rate = rate.filter(|rate| rate.is_sign_positive() && !rate.is_zero());
    let rate = rate.filter(|rate| *rate <= HIGHEST);
    let rate =
        rate.ok_or("the rate must be a number above 0, such as 0.8621, and at most 1000000")?;
    Ok(((currency.to_owned(), day), rate))
}

fn is_currency(text: &str) -> bool {
    text.len() == 3 && text.bytes().all(|byte| byte.is_ascii_uppercase())
}

/// Loads rates; cheap to clone.
#[derive(Clone)]
pub struct Rates {
    queue: Queue,
}

impl Rates {
    /// Into the queue's database.
    #[must_use]
    pub fn new(queue: Queue) -> Self {
        Self { queue }
    }

    /// Stores the rates of a file, in the place of those of the same currency and day, and marks what they change. Where
    /// `start_over`, all that are there are forgotten first. All of it or nothing; a second time changes nothing.
    ///
    /// # Errors
    /// When it is not known to which currency the rates lead, or they are wrong about it.
    pub async fn load(
        &self,
        file: &RateFile,
        reporting_currency: Option<&str>,
        start_over: bool,
    ) -> Result<LoadedRates, RatesError> {
        if let Some(named) = reporting_currency.filter(|named| !is_currency(named)) {
            return Err(RatesError::NoCurrency(named.to_owned()));
        }
        let db = self.queue.database().pool();
        within(LONG_DEADLINE, async {
            let mut session = Session::open(&db).await?;
            let mut tx = session.connection().begin_with(insights::BEGIN).await?;
            let loaded = load(&mut tx, file, reporting_currency, start_over).await?;
            if loaded.is_ok() {
                tx.commit().await?;
            } else {
                tx.rollback().await?;
            }
            session.done();
            Ok(loaded)
        })
        .await?
    }
}

async fn load(
    conn: &mut PgConnection,
    file: &RateFile,
    named: Option<&str>,
    start_over: bool,
) -> Result<Result<LoadedRates, RatesError>, sqlx::Error> {
    rates::wait_to_load(&mut *conn).await?;
    let known = rates::reporting_currency(&mut *conn).await?;
    let currency = match chosen(file, named, known.as_deref().filter(|_| !start_over)) {
        Ok(currency) => currency,
        Err(error) => return Ok(Err(error)),
    };
    if start_over {
        rates::clear(&mut *conn).await?;
    }
    rates::set_reporting_currency(&mut *conn, &currency).await?;
    let is_all_new = start_over || known.is_none();
    let (mut changed, mut marked) = (0, 0);
    for batch in file.rows() {
        let differing = rates::store(&mut *conn, &batch).await?;
        changed += differing.len();
        if !is_all_new && !differing.is_empty() {
            let (currencies, days): (Vec<String>, Vec<NaiveDate>) = differing
                .into_iter()
                .map(|it| (it.currency, it.day))
                .unzip();
            marked += rates::mark(&mut *conn, Some((&currencies, &days))).await?;
        }
    }
    if is_all_new {
        marked = rates::mark(conn, None).await?;
    }
    Ok(Ok(LoadedRates {
        reporting_currency: currency,
        rates: file.rates.len(),
        changed,
        marked,
    }))
}

/// To which currency the rates lead.
fn chosen(file: &RateFile, named: Option<&str>, known: Option<&str>) -> Result<String, RatesError> {
    let currency = match (named, known) {
        (Some(named), Some(known)) if named != known => {
            return Err(RatesError::OtherReportingCurrency(known.to_owned()));
        }
        (Some(currency), _) | (None, Some(currency)) => currency,
        (None, None) => file.unit().ok_or(RatesError::NoReportingCurrency)?,
    };
    if !file.is_one(currency) {
        return Err(RatesError::NotOne(currency.to_owned()));
    }
    Ok(currency.to_owned())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use queue::{Database, config::Config};
    use sqlx::PgPool;

    use super::*;

    fn file(text: &str) -> RateFile {
        RateFile::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    fn rates(db: &PgPool) -> Rates {
        let config = Arc::new(Config::builtin());
        let queue = Queue::new(Database::from_pool(db.clone()), config, []);
        Rates::new(queue.expect("there are no schemas"))
    }

    #[test]
    fn a_header_may_name_the_columns_in_any_order() {
        let plain = file("2026-11-20,USD,0.8621\n2026-11-20,EUR,1\n");
        let named = file(
            "\u{feff}Currency,Rate,Day,source\r\n\"USD\", 0.8621 ,2026-11-20,ecb\r\n\r\nEUR,1,2026-11-20,ecb\r\n",
        );

        assert_eq!(named, plain);
        assert_eq!(plain.unit(), Some("EUR"));
    }

    #[test]
    fn everything_that_is_wrong_is_told_with_its_line() {
        let refused = RateFile::parse(
            "day,currency,rate\n2026-13-01,USD,1\n2026-11-20,usd,1\n2026-11-20,USD,-1\n2026-11-20\n\
             2026-11-20,USD,2\n2026-11-20,USD,3\n2026-11-20,CHF,1000001\n",
        );

        let Err(RateFileError::Lines(lines)) = refused else {
            panic!("it is refused: {refused:?}");
        };
        let numbers: Vec<usize> = lines.iter().map(|line| line.line).collect();
        assert_eq!(numbers, [2, 3, 4, 5, 7, 8]);
        assert!(matches!(
            RateFile::parse("day,currency,rate\n"),
            Err(RateFileError::Empty)
        ));
    }

    // Fails when rates to different currencies come to lie beside each other.
    #[sqlx::test(migrations = "../../migrations")]
    async fn rates_lead_to_one_currency(db: PgPool) -> anyhow::Result<()> {
        let rates = rates(&db);
        let dollars = file("2026-11-20,USD,0.86\n");

        let unknown = rates.load(&dollars, None, false).await;
        let first = rates.load(&dollars, Some("EUR"), false).await?;
        let again = rates.load(&dollars, None, false).await?;
        let other = rates.load(&dollars, Some("CHF"), false).await;
        let not_one = rates.load(&file("2026-11-20,EUR,2\n"), None, false).await;
        let anew = rates
            .load(&file("2026-11-20,EUR,0.93\n"), Some("CHF"), true)
            .await?;

        assert!(matches!(unknown, Err(RatesError::NoReportingCurrency)));
        assert_eq!((first.changed, again.changed), (1, 0));
        assert!(matches!(other, Err(RatesError::OtherReportingCurrency(it)) if it == "EUR"));
        assert!(matches!(not_one, Err(RatesError::NotOne(_))));
        assert_eq!(anew.reporting_currency, "CHF");
        let left: Vec<String> = sqlx::query_scalar("SELECT currency FROM marketing.rates")
            .fetch_all(&db)
            .await?;
        assert_eq!(left, ["EUR"]);
        Ok(())
    }
}

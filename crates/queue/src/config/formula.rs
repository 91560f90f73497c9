//! Formulas of `[kpis]`: what is written there becomes a tree of figures, numbers and the four operations, and nothing else.
//! It is evaluated here, by decimal arithmetic: no part of the text reaches a database. A library reads the text (operators
//! by precedence, `winnow`); what names and calls mean stands here.

use std::fmt;

use rust_decimal::Decimal;
use winnow::{
    Parser, Result as Parsing,
    ascii::{digit1, multispace0},
    combinator::{Infix, Prefix, alt, delimited, expression, opt, preceded, separated},
    error::ContextError,
    token::{one_of, take_while},
};

use super::suggest::closest;

/// Longest formula, in bytes.
const LONGEST: usize = 500;
/// Most parentheses and signs within each other.
const DEEPEST: usize = 20;
/// The one function that there is.
const NULLIF: &str = "nullif";

/// A figure that may be added up, and that formulas may name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Figure {
    /// `impressions`.
    Impressions,
    /// `clicks`.
    Clicks,
    /// `link_clicks`.
    LinkClicks,
    /// `views`.
    Views,
    /// `likes`.
    Likes,
    /// `comments`.
    Comments,
    /// `shares`.
    Shares,
    /// `spend`.
    Spend,
    /// `conversions`.
    Conversions,
    /// `revenue`.
    Revenue,
    /// `leads`.
    Leads,
}

impl Figure {
    /// All of them.
    pub const ALL: [Self; 11] = [
        Self::Impressions,
        Self::Clicks,
        Self::LinkClicks,
        Self::Views,
        Self::Likes,
        Self::Comments,
        Self::Shares,
        Self::Spend,
        Self::Conversions,
        Self::Revenue,
        Self::Leads,
    ];

    /// The word for it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Impressions => "impressions",
            Self::Clicks => "clicks",
            Self::LinkClicks => "link_clicks",
            Self::Views => "views",
            Self::Likes => "likes",
            Self::Comments => "comments",
            Self::Shares => "shares",
            Self::Spend => "spend",
            Self::Conversions => "conversions",
            Self::Revenue => "revenue",
            Self::Leads => "leads",
        }
    }
}

/// Why a text is no formula.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FormulaError {
    /// There is nothing.
    #[error("must not be empty")]
    Empty,
    /// It is too long, or its parentheses and signs are too deep.
    #[error(
        "must have at most {} characters, and {} parentheses or signs within each other",
        LONGEST,
        DEEPEST
    )]
    TooLarge,
    /// It cannot be read.
    #[error("is no formula from character {at} on, {}: figures, numbers, + - * /, parentheses and nullif(a, b)", Found(.found))]
    Syntax {
        /// From 1.
        at: usize,
        /// What stands there.
        found: String,
    },
    /// A name that is no figure.
    #[error("{name:?} is no figure that may be added up")]
    UnknownFigure {
        /// As it is written.
        name: String,
        /// What was probably meant.
        suggestion: Option<String>,
    },
    /// A function other than `nullif`.
    #[error("there is no function {0:?}, only nullif(a, b)")]
    UnknownFunction(String),
    /// `nullif` with other than two values.
    #[error("nullif takes two values")]
    Arguments,
    /// It divides by the number zero.
    #[error("divides by zero")]
    DividesByZero,
    /// A number with too many digits.
    #[error("{0} has too many digits")]
    Number(String),
}

struct Found<'a>(&'a str);

impl fmt::Display for Found<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            "" => f.write_str("where it ends"),
            found => write!(f, "{found:?}"),
        }
    }
}

/// A formula that was checked.
#[derive(Debug, Clone, PartialEq)]
pub struct Formula(Node);

#[derive(Debug, Clone, PartialEq)]
enum Node {
    Figure(Figure),
    Number(Decimal),
    Negated(Box<Node>),
    Of(Operator, Box<Node>, Box<Node>),
    NullIf(Box<Node>, Box<Node>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operator {
    Plus,
    Minus,
    Times,
    Over,
}

impl Formula {
    /// Reads a formula and checks all that it names.
    ///
    /// # Errors
    /// With the first thing that is wrong.
    pub fn parse(text: &str) -> Result<Self, FormulaError> {
        if text.trim().is_empty() {
            return Err(FormulaError::Empty);
        }
        if text.len() > LONGEST || deepest(text) > DEEPEST {
            return Err(FormulaError::TooLarge);
        }
        let written = whole.parse(text).map_err(|error| {
            let (before, rest) = text.split_at_checked(error.offset()).unwrap_or((text, ""));
            FormulaError::Syntax {
                at: before.chars().count() + 1,
                found: rest.chars().take(20).collect(),
            }
        })?;
        compile(written).map(Self)
    }

    /// Its value, where figures are as told; `None`: nothing, since a divisor is zero, a figure is not known, or the number
    /// would be too large.
    pub fn evaluate(&self, figure: &impl Fn(Figure) -> Option<Decimal>) -> Option<Decimal> {
        value(&self.0, figure)
    }

    /// The figures that it names, each once.
    #[must_use]
    pub fn figures(&self) -> Vec<Figure> {
        let mut named = Vec::new();
        name(&self.0, &mut named);
        named.sort_unstable();
        named.dedup();
        named
    }
}

fn value(node: &Node, figure: &impl Fn(Figure) -> Option<Decimal>) -> Option<Decimal> {
    match node {
        Node::Figure(named) => figure(*named),
        Node::Number(number) => Some(*number),
        Node::Negated(of) => value(of, figure).map(|of| -of),
        Node::Of(operator, left, right) => {
            let (left, right) = (value(left, figure)?, value(right, figure)?);
            match operator {
                Operator::Plus => left.checked_add(right),
                Operator::Minus => left.checked_sub(right),
                Operator::Times => left.checked_mul(right),
                Operator::Over => left.checked_div(right),
            }
        }
        Node::NullIf(of, unwanted) => {
            let of = value(of, figure)?;
            // As in SQL: what is compared with nothing is not equal to it.
            (value(unwanted, figure) != Some(of)).then_some(of)
        }
    }
}

fn name(node: &Node, named: &mut Vec<Figure>) {
    match node {
        Node::Figure(figure) => named.push(*figure),
        Node::Number(_) => {}
        Node::Negated(of) => name(of, named),
        Node::Of(_, left, right) | Node::NullIf(left, right) => {
            name(left, named);
            name(right, named);
        }
    }
}

/// How deep parentheses, and signs in front of signs, are within each other.
fn deepest(text: &str) -> usize {
    let (mut depth, mut signs, mut deepest) = (0_usize, 0_usize, 0_usize);
    for byte in text.bytes() {
        match byte {
            b'(' => depth += 1,
            b')' => depth = depth.saturating_sub(1),
            _ => {}
        }
        match byte {
            b'-' => signs += 1,
            _ if byte.is_ascii_whitespace() => {}
            _ => signs = 0,
        }
        deepest = deepest.max(depth + signs);
    }
    deepest
}

/// What is written, before anybody asks what it means.
enum Written<'i> {
    Number(&'i str),
    Name(&'i str),
    Call(&'i str, Vec<Written<'i>>),
    Negated(Box<Written<'i>>),
    Of(Operator, Box<Written<'i>>, Box<Written<'i>>),
}

fn whole<'i>(input: &mut &'i str) -> Parsing<Written<'i>> {
    preceded(space, formula).parse_next(input)
}

fn formula<'i>(input: &mut &'i str) -> Parsing<Written<'i>> {
    expression(operand)
        .prefix(prefix)
        .infix(infix)
        .parse_next(input)
}

fn space(input: &mut &str) -> Parsing<()> {
    multispace0.void().parse_next(input)
}

fn prefix<'i>(input: &mut &'i str) -> Parsing<Prefix<&'i str, Written<'i>, ContextError>> {
    let minus: Parsing<(char, ())> = ('-', space).parse_next(input);
    minus?;
    Ok(Prefix(3, negated))
}

fn infix<'i>(input: &mut &'i str) -> Parsing<Infix<&'i str, Written<'i>, ContextError>> {
    let sign: Parsing<char> = one_of(['+', '-', '*', '/']).parse_next(input);
    let sign = sign?;
    space(input)?;
    Ok(match sign {
        '+' => Infix::Left(1, plus),
        '-' => Infix::Left(1, minus),
        '*' => Infix::Left(2, times),
        _ => Infix::Left(2, over),
    })
}

fn negated<'i>(_: &mut &'i str, of: Written<'i>) -> Parsing<Written<'i>> {
    Ok(Written::Negated(Box::new(of)))
}

fn plus<'i>(_: &mut &'i str, a: Written<'i>, b: Written<'i>) -> Parsing<Written<'i>> {
    Ok(Written::Of(Operator::Plus, Box::new(a), Box::new(b)))
}

fn minus<'i>(_: &mut &'i str, a: Written<'i>, b: Written<'i>) -> Parsing<Written<'i>> {
    Ok(Written::Of(Operator::Minus, Box::new(a), Box::new(b)))
}

fn times<'i>(_: &mut &'i str, a: Written<'i>, b: Written<'i>) -> Parsing<Written<'i>> {
    Ok(Written::Of(Operator::Times, Box::new(a), Box::new(b)))
}

fn over<'i>(_: &mut &'i str, a: Written<'i>, b: Written<'i>) -> Parsing<Written<'i>> {
    Ok(Written::Of(Operator::Over, Box::new(a), Box::new(b)))
}

fn operand<'i>(input: &mut &'i str) -> Parsing<Written<'i>> {
    let operand: Parsing<Written<'i>> =
        alt((number, call_or_name, within_parentheses)).parse_next(input);
    let operand = operand?;
    space(input)?;
    Ok(operand)
}

fn number<'i>(input: &mut &'i str) -> Parsing<Written<'i>> {
    let digits: Parsing<&'i str> = (digit1, opt(('.', digit1))).take().parse_next(input);
    digits.map(Written::Number)
}

fn identifier<'i>(input: &mut &'i str) -> Parsing<&'i str> {
    (
        take_while(1, |c: char| c.is_ascii_alphabetic() || c == '_'),
        take_while(0.., |c: char| c.is_ascii_alphanumeric() || c == '_'),
    )
        .take()
        .parse_next(input)
}

fn arguments<'i>(input: &mut &'i str) -> Parsing<Vec<Written<'i>>> {
    delimited(('(', space), separated(0..=10, formula, (',', space)), ')').parse_next(input)
}

fn call_or_name<'i>(input: &mut &'i str) -> Parsing<Written<'i>> {
    let name = identifier(input)?;
    space(input)?;
    let given: Parsing<Option<Vec<Written<'i>>>> = opt(arguments).parse_next(input);
    Ok(match given? {
        Some(given) => Written::Call(name, given),
        None => Written::Name(name),
    })
}

fn within_parentheses<'i>(input: &mut &'i str) -> Parsing<Written<'i>> {
    delimited(('(', space), formula, ')').parse_next(input)
}

fn compile(written: Written<'_>) -> Result<Node, FormulaError> {
    let boxed = |written| compile(written).map(Box::new);
    Ok(match written {
        Written::Number(digits) => {
            let number = Decimal::from_str_exact(digits);
            Node::Number(number.map_err(|_| FormulaError::Number(digits.to_owned()))?)
        }
        Written::Name(name) => Node::Figure(figure(name)?),
        Written::Negated(of) => Node::Negated(boxed(*of)?),
        Written::Of(operator, left, right) => {
            let (left, right) = (boxed(*left)?, boxed(*right)?);
            let is_zero = matches!(&*right, Node::Number(number) if number.is_zero());
            if operator == Operator::Over && is_zero {
                return Err(FormulaError::DividesByZero);
            }
            Node::Of(operator, left, right)
        }
        Written::Call(name, arguments) => {
            if !name.eq_ignore_ascii_case(NULLIF) {
                return Err(FormulaError::UnknownFunction(name.to_owned()));
            }
            let [of, unwanted] =
                <[Written<'_>; 2]>::try_from(arguments).map_err(|_| FormulaError::Arguments)?;
            Node::NullIf(boxed(of)?, boxed(unwanted)?)
        }
    })
}

fn figure(name: &str) -> Result<Figure, FormulaError> {
    let figures = || Figure::ALL.into_iter();
    figures()
        .find(|figure| figure.as_str() == name)
        .ok_or_else(|| FormulaError::UnknownFigure {
            name: name.to_owned(),
            suggestion: closest(name, figures().map(Figure::as_str)),
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 100 of spend, 3 leads, 0 conversions, and nothing known of revenue.
    fn known(figure: Figure) -> Option<Decimal> {
        match figure {
            Figure::Spend => Some(Decimal::from(100)),
            Figure::Leads => Some(Decimal::from(3)),
            Figure::Revenue => None,
            _ => Some(Decimal::ZERO),
        }
    }

    fn value_of(text: &str) -> Option<String> {
        let formula = Formula::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
        let value = formula.evaluate(&known)?;
        Some(value.round_dp(4).normalize().to_string())
    }

    #[test]
    fn a_formula_is_reckoned_by_the_rules_of_arithmetic() {
        for (text, expected) in [
            ("spend / nullif(leads, 0)", Some("33.3333")),
            (" 1 + 2 * 3 ", Some("7")),
            ("(1 + 2) * 3", Some("9")),
            ("10 - 4 - 3", Some("3")),
            ("100 / 10 / 5", Some("2")),
            ("-leads + 5", Some("2")),
            ("2 * -3", Some("-6")),
            ("- -3", Some("3")),
            ("0.1 + 0.2", Some("0.3")),
            ("NULLIF (spend, 1)", Some("100")),
            ("spend\n/\tleads", Some("33.3333")),
        ] {
            assert_eq!(value_of(text).as_deref(), expected, "{text}");
        }
    }

    // Fails when a divisor of zero ends in anything but nothing.
    #[test]
    fn what_cannot_be_reckoned_is_nothing() {
        for text in [
            "spend / nullif(conversions, 0)",
            "spend / conversions",
            "revenue + 1",
            "nullif(spend, 100)",
            "nullif(revenue, 1)",
            "9999999999999999999999999999 * 9999999999999999999999999999",
        ] {
            assert_eq!(value_of(text), None, "{text}");
        }
        assert_eq!(value_of("nullif(spend, revenue)").as_deref(), Some("100"));
    }

    #[test]
    fn what_is_no_formula_is_refused_with_its_place() {
        let syntax = |at, found: &str| FormulaError::Syntax {
            at,
            found: found.to_owned(),
        };

        for (text, expected) in [
            (" ", FormulaError::Empty),
            ("spend; drop table x", syntax(6, "; drop table x")),
            ("spend /", syntax(8, "")),
            (
                "sum(spend)",
                FormulaError::UnknownFunction("sum".to_owned()),
            ),
            ("nullif(spend)", FormulaError::Arguments),
            ("nullif()", FormulaError::Arguments),
            ("spend / 0.0", FormulaError::DividesByZero),
        ] {
            assert_eq!(Formula::parse(text), Err(expected), "{text}");
        }
        for text in [
            "(spend",
            "spend)",
            "spend leads",
            "1.",
            ".5",
            "1e5",
            "'a'",
            "spend::text",
            "é",
        ] {
            let refused = Formula::parse(text);
            assert!(
                matches!(refused, Err(FormulaError::Syntax { .. })),
                "{text}: {refused:?}"
            );
        }
    }

    #[test]
    fn a_name_that_is_no_figure_is_refused_with_a_suggestion() {
        let refused = Formula::parse("spent / leads");

        assert_eq!(
            refused,
            Err(FormulaError::UnknownFigure {
                name: "spent".to_owned(),
                suggestion: Some("spend".to_owned()),
            })
        );
        assert!(Formula::parse("reach / 2").is_err());
    }

    #[test]
    fn what_would_be_too_deep_or_too_long_is_refused_before_it_is_read() {
        let deep = format!("{}spend{}", "(".repeat(21), ")".repeat(21));
        let long = format!("spend{}", " + spend".repeat(100));
        let bearable = format!("{}spend{}", "(".repeat(20), ")".repeat(20));

        assert_eq!(Formula::parse(&deep), Err(FormulaError::TooLarge));
        assert_eq!(Formula::parse(&long), Err(FormulaError::TooLarge));
        assert!(Formula::parse(&bearable).is_ok());
        assert_eq!(
            Formula::parse(&format!("{}1", "- ".repeat(21))),
            Err(FormulaError::TooLarge)
        );
    }

    #[test]
    fn the_figures_of_a_formula_are_told_once_each() {
        let formula = Formula::parse("spend / leads + spend - 2").expect("a formula");

        assert_eq!(formula.figures(), [Figure::Spend, Figure::Leads]);
    }
}

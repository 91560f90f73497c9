//! The syntax of parameters in Rest.li 2.0: `List(a,b)`, `(key:value)`, and texts in which the characters of the syntax are
//! per cent encoded. Those of the syntax itself are not: who encodes everything has sent a text.

/// Deepest nesting that is read.
const MOST_LEVELS: usize = 16;

/// A value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Node {
    List(Vec<Node>),
    Record(Vec<(String, Node)>),
    Text(String),
}

impl Node {
    /// Reads the value of a parameter as it was sent, encoded. `None` for what is against the syntax.
    pub(super) fn read(raw: &str) -> Option<Self> {
        let (node, rest) = node(raw, MOST_LEVELS)?;
        rest.is_empty().then_some(node)
    }

    pub(super) fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            Self::List(_) | Self::Record(_) => None,
        }
    }

    /// The texts of a list that holds nothing else.
    pub(super) fn texts(&self) -> Option<Vec<&str>> {
        match self {
            Self::List(nodes) => nodes.iter().map(Self::text).collect(),
            Self::Record(_) | Self::Text(_) => None,
        }
    }

    /// The member of a record; `None` without one, and for what is no record.
    pub(super) fn member(&self, name: &str) -> Option<&Self> {
        let members = self.members()?;
        let found = members.iter().find(|(found, _)| found == name);
        found.map(|(_, node)| node)
    }

    /// The members of a record.
    pub(super) fn members(&self) -> Option<&[(String, Self)]> {
        match self {
            Self::Record(members) => Some(members),
            Self::List(_) | Self::Text(_) => None,
        }
    }
}

/// The value that a text begins with, and the rest of the text.
fn node(raw: &str, levels: usize) -> Option<(Node, &str)> {
    let below = levels.checked_sub(1)?;
    if let Some(inside) = raw.strip_prefix("List(") {
        let (nodes, rest) = separated(inside, |raw| node(raw, below))?;
        return Some((Node::List(nodes), rest));
    }
    if let Some(inside) = raw.strip_prefix('(') {
        let (members, rest) = separated(inside, |raw| member(raw, below))?;
        return Some((Node::Record(members), rest));
    }
    let (text, rest) = text(raw)?;
    Some((Node::Text(text), rest))
}

fn member(raw: &str, levels: usize) -> Option<((String, Node), &str)> {
    let (name, rest) = text(raw)?;
    let (value, rest) = node(rest.strip_prefix(':')?, levels)?;
    Some(((name, value), rest))
}

/// What stands between commas up to the closing parenthesis, and the rest behind that.
fn separated<T>(mut raw: &str, next: impl Fn(&str) -> Option<(T, &str)>) -> Option<(Vec<T>, &str)> {
    let mut all = Vec::new();
    if let Some(rest) = raw.strip_prefix(')') {
        return Some((all, rest));
    }
    loop {
        let (one, rest) = next(raw)?;
        all.push(one);
        if let Some(rest) = rest.strip_prefix(')') {
            return Some((all, rest));
        }
        raw = rest.strip_prefix(',')?;
    }
}

/// A text up to the next character of the syntax, decoded. `''` is the empty one, nothing at all is none.
fn text(raw: &str) -> Option<(String, &str)> {
    let end = raw.find(['(', ')', ',', ':']).unwrap_or(raw.len());
    let (encoded, rest) = raw.split_at(end);
    match encoded {
        "" => None,
        "''" => Some((String::new(), rest)),
        _ => Some((decode(encoded)?, rest)),
    }
}

/// Takes per cent encoding away, once.
pub(super) fn decode(encoded: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(encoded.len());
    let mut rest = encoded.as_bytes();
    while let [first, after @ ..] = rest {
        if *first != b'%' {
            bytes.push(*first);
            rest = after;
            continue;
        }
        let (digits, after) = after.split_at_checked(2)?;
        bytes.extend(hex::decode(digits).ok()?);
        rest = after;
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> Node {
        Node::Text(text.to_owned())
    }

    #[test]
    fn lists_records_and_texts_are_read() {
        let urns =
            Node::read("List(urn%3Ali%3AsponsoredAccount%3A1,urn%3Ali%3AsponsoredAccount%3A2)");
        let search =
            Node::read("(status:(values:List(ACTIVE,DRAFT)),test:false)").expect("a record");

        assert_eq!(
            urns.as_ref().and_then(Node::texts),
            Some(vec![
                "urn:li:sponsoredAccount:1",
                "urn:li:sponsoredAccount:2"
            ]),
        );
        let values = search
            .member("status")
            .and_then(|status| status.member("values"));
        assert_eq!(values.and_then(Node::texts), Some(vec!["ACTIVE", "DRAFT"]));
        assert_eq!(search.member("test"), Some(&text("false")));
        assert_eq!(Node::read("List()"), Some(Node::List(Vec::new())));
        assert_eq!(Node::read("DgFake-Token"), Some(text("DgFake-Token")));
        assert_eq!(Node::read("a+b%20%C3%A4"), Some(text("a+b ä")));
    }

    #[test]
    fn the_characters_of_the_syntax_are_encoded_in_texts_and_nowhere_else() {
        // A URN that is not encoded, one that is encoded twice, and a list that is encoded whole.
        let bare = Node::read("List(urn:li:sponsoredAccount:1)");
        let twice = Node::read("List(urn%253Ali%253AsponsoredAccount%253A1)");
        let whole = Node::read("List%28urn%3Ali%3AsponsoredAccount%3A1%29");

        assert_eq!(bare, None);
        assert_eq!(
            twice,
            Some(Node::List(vec![text("urn%3Ali%3AsponsoredAccount%3A1")]))
        );
        assert_eq!(whole, Some(text("List(urn:li:sponsoredAccount:1)")));
    }

    #[test]
    fn what_is_not_closed_or_not_encoded_is_no_value() {
        let deep = "(a:".repeat(40);
        for raw in [
            "", "List(", "List(a", "(a:b", "(a)", "a,b", "a)", "List(a,)", "(:b)", "(a:)", "%",
            "%4", "%zz", "%ff", &deep,
        ] {
            assert_eq!(Node::read(raw), None, "{raw}");
        }
    }
}

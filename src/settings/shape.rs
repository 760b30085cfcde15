//! What a YAML text becomes, told before it is built: text nests, and aliases multiply.

use std::collections::HashMap;

use yaml_rust2::parser::{Event, Parser};

/// Far deeper than any settings, far from the end of a stack.
const DEPTH_MAX: usize = 32;
/// All texts, and [`NODE_BYTES`] for each: a file as long as one may be, and as much again.
const BYTES_MAX: usize = 2 << 20;
const NODE_BYTES: usize = 16;

/// What a value becomes.
#[derive(Clone, Copy)]
struct Shape {
    bytes: usize,
    depth: usize,
}

/// A list or table that has not ended.
struct Open {
    anchor: usize,
    shape: Shape,
}

/// Whether the text becomes no more than settings are. One that is no YAML becomes nothing past its
/// first mistake, which whoever reads it will name.
pub(super) fn is_small(text: &str) -> bool {
    let mut parser = Parser::new_from_str(text);
    let mut anchored: HashMap<usize, Shape> = HashMap::new();
    let mut open = vec![Open { anchor: 0, shape: Shape { bytes: 0, depth: 0 } }];
    while let Ok((event, _)) = parser.next_token() {
        let leaf = |text: &str| Shape { bytes: NODE_BYTES.saturating_add(text.len()), depth: 0 };
        let (anchor, shape) = match event {
            Event::StreamEnd => return true,
            Event::SequenceStart(anchor, _) | Event::MappingStart(anchor, _) => {
                if open.len() > DEPTH_MAX {
                    return false;
                }
                open.push(Open { anchor, shape: Shape { depth: 1, ..leaf("") } });
                continue;
            }
            Event::SequenceEnd | Event::MappingEnd => match open.pop() {
                Some(ended) => (ended.anchor, ended.shape),
                None => return true,
            },
            Event::Scalar(text, _, anchor, _) => (anchor, leaf(&text)),
            // An alias within what it stands for becomes nothing.
            Event::Alias(of) => (0, anchored.get(&of).copied().unwrap_or(leaf(""))),
            _ => continue,
        };
        let depth = open.len().saturating_add(shape.depth);
        let Some(outer) = open.last_mut() else { return true };
        outer.shape.depth = outer.shape.depth.max(shape.depth + 1);
        outer.shape.bytes = outer.shape.bytes.saturating_add(shape.bytes);
        if anchor > 0 {
            // What has an anchor is kept once more.
            outer.shape.bytes = outer.shape.bytes.saturating_add(shape.bytes);
            anchored.insert(anchor, shape);
        }
        if outer.shape.bytes > BYTES_MAX || depth > DEPTH_MAX + 1 {
            return false;
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each list holds the one before it ten times.
    fn tenfold(levels: usize) -> String {
        let first = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
        let ten = |of: usize| vec![format!("*a{of}"); 10].join(", ");
        let more = (1..levels).map(|it| format!("a{it}: &a{it} [{}]\n", ten(it - 1)));
        std::iter::once(first).chain(more).collect()
    }

    #[test]
    fn aliases_may_repeat_and_may_not_explode() {
        assert!(is_small(&tenfold(3)));
        assert!(!is_small(&tenfold(9)));
    }

    #[test]
    fn a_long_text_may_not_be_repeated_at_will() {
        let text = |times| format!("a: &a {}\nb: [{}]", "x".repeat(1 << 16), "*a, ".repeat(times));
        assert!(is_small(&text(20)));
        assert!(!is_small(&text(40)));
    }

    #[test]
    fn text_nests_to_a_depth() {
        for open in ["- ", "? ", "- ? "] {
            assert!(is_small(&open.repeat(16)), "{open}");
            assert!(!is_small(&open.repeat(20_000)), "{open}");
        }
        assert!(!is_small(&format!("{}{}", "[".repeat(100), "]".repeat(100))));
    }

    #[test]
    fn aliases_nest_no_deeper_than_text() {
        let chain = |levels: usize| -> String {
            let more = (1..levels).map(|it| format!("a{it}: &a{it} [*a{}]\n", it - 1));
            std::iter::once("a0: &a0 [x]\n".to_owned()).chain(more).collect()
        };
        assert!(is_small(&chain(DEPTH_MAX - 1)));
        assert!(!is_small(&chain(DEPTH_MAX)));
    }

    #[test]
    fn an_alias_of_what_holds_it_is_nothing() {
        assert!(is_small("a: &a [*a]"));
    }
}

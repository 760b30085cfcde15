//! Settings that are read again while the gateway runs.

use super::error::Error;
use super::raw::Raw;
use super::{Settings, Sources, build, together};

/// What can change without a new start: these keys and what lies below them. The rest is what
/// stages were built with.
const LIVE: &[&str] =
    &["edit", "export", "receive.auth", "redact", "serve.auth", "telemetry.log.level"];

/// Settings, and what they were made of.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The settings.
    pub settings: Settings,
    raw: Raw,
}

impl Loaded {
    /// The settings, each value checked, and all of them together.
    ///
    /// # Errors
    /// When a value is refused.
    pub fn load(sources: &Sources) -> Result<Self, Error> {
        let raw = Raw::gather(sources)?;
        let settings = build::build(&raw)?;
        together::check(&settings)?;
        Ok(Self { settings, raw })
    }

    /// The keys whose values differ from `before`, in the order of the keys.
    ///
    /// # Errors
    /// When one of them cannot change while the gateway runs.
    pub fn changed_since(&self, before: &Self) -> Result<Vec<String>, Error> {
        let changed = self.raw.changed_since(&before.raw);
        let fixed: Vec<_> = changed.iter().filter(|key| !is_live(key)).cloned().collect();
        if fixed.is_empty() { Ok(changed) } else { Err(Error::Fixed { keys: fixed.join(", ") }) }
    }
}

fn is_live(key: &str) -> bool {
    LIVE.iter().any(|live| {
        key.strip_prefix(live).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn loaded(sets: &[&str]) -> Loaded {
        let sets = sets.iter().map(|set| (*set).to_owned()).collect();
        Loaded::load(&Sources { sets, ..Sources::default() }).expect("the settings are right")
    }

    #[test]
    fn what_is_new_removed_or_different_has_changed() {
        let before = loaded(&[
            "redact.mask=[gone]",
            "export.otlp.a.endpoint=http://a:1",
            "export.otlp.b.endpoint=http://b:1",
        ]);
        let after = loaded(&[
            "redact.mask=[gone]",
            "export.otlp.b.endpoint=http://b:2",
            "export.otlp.c.endpoint=http://c:1",
            "telemetry.log.level=debug",
        ]);

        let changed = after.changed_since(&before).expect("all of it can change");

        let endpoint = |name| format!("export.otlp.{name}.endpoint");
        let want = [endpoint("a"), endpoint("b"), endpoint("c"), "telemetry.log.level".to_owned()];
        assert_eq!(changed, want);
    }

    #[test]
    fn what_a_stage_was_built_with_cannot_change() {
        let after = loaded(&["log.keep=2h", "join.shards=4", "redact.mask=[gone]"]);

        let refused = after.changed_since(&loaded(&[])).unwrap_err();

        assert_eq!(
            refused.to_string(),
            "join.shards, log.keep cannot change while the gateway runs; start it anew"
        );
    }
}

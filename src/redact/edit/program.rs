//! The rules, ready to run: for each level the steps that concern it.

use super::super::judge::{Judgement, says};
use super::super::policy::{Error, Policy};
use super::Settings;
use super::keys::{KeyId, Keys};
use super::parse::parse;
use super::rule::{Action, Attribute, Condition, How, Level, Literal, PerLevel, Rule, Test};
use super::value::Pseudonyms;

/// The rules, compiled.
#[derive(Clone, Debug, Default)]
pub(in super::super) struct Edits {
    programs: PerLevel<Program>,
    /// One bit for each level that has steps.
    touched: u8,
    pub(super) slots: usize,
    pub(super) pseudonyms: Pseudonyms,
}

/// What is done to each list of one level.
#[derive(Clone, Debug, Default)]
pub(super) struct Program {
    pub(super) keys: Keys,
    pub(super) steps: Vec<Step>,
}

/// One thing that is done, where the condition holds.
#[derive(Clone, Debug)]
pub(super) struct Step {
    pub(super) operation: Operation,
    pub(super) condition: Option<(Source, Test)>,
}

#[derive(Clone, Debug)]
pub(super) enum Operation {
    Write {
        how: How,
        key: KeyId,
        value: Vec<u8>,
    },
    Remove(KeyId),
    Rename {
        from: KeyId,
        to: KeyId,
    },
    Copy {
        from: Source,
        to: KeyId,
    },
    Pseudonymise(KeyId),
    /// A rule of an inner level reads this attribute as it is now.
    Keep {
        key: KeyId,
        slot: usize,
    },
}

/// Where a value is read.
#[derive(Clone, Copy, Debug)]
pub(super) enum Source {
    Here(KeyId),
    Kept(usize),
}

impl Edits {
    /// Compiles the rules. `policy` is the policy without them.
    pub(in super::super) fn new(settings: &Settings, policy: &Policy) -> Result<Self, Error> {
        let pseudonyms = Pseudonyms::new(settings.key, policy.replacement.fixed());
        let mut edits = Self { pseudonyms, ..Self::default() };
        for (number, text) in (1..).zip(&settings.rules) {
            let rule = parse(text).map_err(|problem| {
                let text = text.clone();
                Error::Edit { number, text, problem }
            })?;
            if let Some(key) = written(&rule.action)
                && policy.redacted(key.as_bytes()).is_some()
            {
                return Err(Error::EditKey { number, key: key.clone() });
            }
            edits.add(rule, policy);
        }
        Ok(edits)
    }

    /// Whether there are no rules.
    #[inline(always)]
    pub(in super::super) fn is_empty(&self) -> bool {
        self.touched == 0
    }

    #[inline(always)]
    pub(super) fn touches(&self, level: Level) -> bool {
        self.touched & bit(level) != 0
    }

    #[inline(always)]
    pub(super) fn program(&self, level: Level) -> &Program {
        self.programs.of(level)
    }

    fn add(&mut self, rule: Rule, policy: &Policy) {
        let Rule { level, action, condition } = rule;
        let condition = condition.map(|Condition { of, test }| {
            let source = self.source(&of, level, policy);
            (source, test)
        });
        let operation = match action {
            Action::Write { how, key, value } => {
                let value = Literal::encoded(&value);
                Operation::Write { how, key: self.key(level, &key, policy), value }
            }
            Action::Remove { key } => Operation::Remove(self.key(level, &key, policy)),
            Action::Rename { from, to } => Operation::Rename {
                from: self.key(level, &from, policy),
                to: self.key(level, &to, policy),
            },
            Action::Copy { from, to } => Operation::Copy {
                from: self.source(&from, level, policy),
                to: self.key(level, &to, policy),
            },
            Action::Pseudonymise { key } => Operation::Pseudonymise(self.key(level, &key, policy)),
        };
        self.push(level, Step { operation, condition });
    }

    fn push(&mut self, level: Level, step: Step) {
        self.programs.of_mut(level).steps.push(step);
        self.touched |= bit(level);
    }

    /// What an outer level has is kept at this point of its own steps: so that a rule sees what the
    /// rules before it made, at every level.
    fn source(&mut self, of: &Attribute, own: Level, policy: &Policy) -> Source {
        let key = self.key(of.level, &of.key, policy);
        if of.level == own {
            return Source::Here(key);
        }
        let slot = self.slots;
        self.slots += 1;
        let operation = Operation::Keep { key, slot };
        self.push(of.level, Step { operation, condition: None });
        Source::Kept(slot)
    }

    fn key(&mut self, level: Level, key: &str, policy: &Policy) -> KeyId {
        let says: Judgement = says(policy, key.as_bytes());
        self.programs.of_mut(level).keys.intern(key, says)
    }
}

#[inline(always)]
fn bit(level: Level) -> u8 {
    1 << level as u8
}

/// The key under which an action writes.
fn written(action: &Action) -> Option<&String> {
    match action {
        Action::Remove { .. } => None,
        Action::Write { key, .. }
        | Action::Rename { to: key, .. }
        | Action::Copy { to: key, .. }
        | Action::Pseudonymise { key } => Some(key),
    }
}

//! What is on the screen. It changes with a look at the gateway or with a key; it reads no clock.

use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyEventKind, KeyModifiers};

use super::super::client::{Finding, Rates, Snapshot, findings};
use super::history::History;

/// A part of the screen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Panel {
    #[default]
    Doors,
    Bounds,
    Destinations,
    Evidence,
    Losses,
}

/// What the keys ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Key {
    Quit,
    Pause,
    Help,
    Next,
    Previous,
    Alone,
    Up,
    Down,
    /// The size of the terminal changed.
    Redraw,
}

/// Whether what the gateway says is taken over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Following {
    #[default]
    Yes,
    Paused,
}

/// How the screen is used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Shows {
    #[default]
    AllPanels,
    /// Only the one that has the focus.
    OnePanel,
    Help,
}

#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) api: String,
    pub(super) latest: Option<Snapshot>,
    /// `None` until there are two looks at the same process.
    pub(super) rates: Option<Rates>,
    pub(super) findings: Vec<Finding>,
    pub(super) history: History,
    /// Why the last look failed, and how many did since one succeeded.
    pub(super) away: Option<(String, u64)>,
    pub(super) following: Following,
    pub(super) shows: Shows,
    pub(super) focus: Panel,
    /// Rows of the focused panel that are above its upper end.
    pub(super) scroll: usize,
}

impl Panel {
    pub(super) const ALL: [Self; 5] =
        [Self::Doors, Self::Bounds, Self::Destinations, Self::Evidence, Self::Losses];

    fn step(self, by: usize) -> Self {
        let mut all = Self::ALL.into_iter().cycle().skip_while(|it| *it != self).skip(by);
        all.next().unwrap_or_default()
    }
}

impl Key {
    /// `None` for a key that does nothing here.
    pub(super) fn of(event: KeyEvent) -> Option<Self> {
        if event.kind == KeyEventKind::Release {
            return None;
        }
        let control = event.modifiers.contains(KeyModifiers::CONTROL);
        Some(match event.code {
            // The terminal is raw: it makes no signal of this.
            KeyCode::Char('c' | 'd') if control => Self::Quit,
            KeyCode::Char('q') => Self::Quit,
            KeyCode::Char('p' | ' ') => Self::Pause,
            KeyCode::Char('?' | 'h') => Self::Help,
            KeyCode::Tab | KeyCode::Right | KeyCode::Char('l') => Self::Next,
            KeyCode::BackTab | KeyCode::Left => Self::Previous,
            KeyCode::Enter => Self::Alone,
            KeyCode::Up | KeyCode::Char('k') => Self::Up,
            KeyCode::Down | KeyCode::Char('j') => Self::Down,
            _ => return None,
        })
    }
}

impl State {
    pub(super) fn new(api: String) -> Self {
        Self { api, ..Self::default() }
    }

    /// The gateway was asked. `Err` says why it did not answer.
    pub(super) fn looked(&mut self, looked: Result<Snapshot, String>) {
        if self.following == Following::Paused {
            return;
        }
        match looked {
            Err(why) => {
                let before = self.away.take().map_or(0, |(_, times)| times);
                self.away = Some((why, before.saturating_add(1)));
            }
            Ok(now) => {
                self.away = None;
                self.rates = self.latest.as_ref().and_then(|it| Rates::between(it, &now));
                self.findings = findings(self.latest.as_ref(), &now);
                if let Some(rates) = &self.rates {
                    self.history.push(rates);
                }
                self.latest = Some(now);
            }
        }
    }

    /// A key was pressed, any but [`Key::Quit`], which is for whoever runs this.
    pub(super) fn pressed(&mut self, key: Key) {
        match key {
            Key::Pause if self.following == Following::Yes => self.following = Following::Paused,
            Key::Pause => self.following = Following::Yes,
            Key::Help => self.toggle(Shows::Help),
            Key::Alone => self.toggle(Shows::OnePanel),
            Key::Next => self.focus_on(self.focus.step(1)),
            Key::Previous => self.focus_on(self.focus.step(Panel::ALL.len() - 1)),
            Key::Up => self.scroll = self.scroll.saturating_sub(1),
            // Drawing stops at the last row.
            Key::Down => self.scroll = self.scroll.saturating_add(1),
            Key::Quit | Key::Redraw => {}
        }
    }

    fn focus_on(&mut self, panel: Panel) {
        (self.focus, self.scroll) = (panel, 0);
    }

    fn toggle(&mut self, shows: Shows) {
        self.shows = if self.shows == shows { Shows::AllPanels } else { shows };
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::client::example::snapshot;
    use super::*;

    fn away() -> Result<Snapshot, String> {
        Err("no gateway answers".to_owned())
    }

    #[test]
    fn a_gateway_that_goes_away_is_counted_until_it_is_back() {
        let mut state = State::new("api".to_owned());
        state.looked(Ok(snapshot(&[])));
        state.looked(away());
        state.looked(away());
        assert_eq!(state.away, Some(("no gateway answers".to_owned(), 2)));
        assert!(state.latest.is_some());
        state.looked(Ok(snapshot(&[])));
        assert_eq!(state.away, None);
    }

    #[test]
    fn a_paused_screen_takes_nothing_over() {
        let mut state = State::new("api".to_owned());
        state.pressed(Key::Pause);
        state.looked(Ok(snapshot(&[])));
        assert_eq!(state.latest, None);
        state.pressed(Key::Pause);
        state.looked(Ok(snapshot(&[])));
        assert!(state.latest.is_some());
    }

    #[test]
    fn rates_need_two_looks_at_the_same_process() {
        let mut state = State::new("api".to_owned());
        let mut now = snapshot(&[]);
        state.looked(Ok(now.clone()));
        assert_eq!(state.rates, None);
        now.now_ns += 1;
        state.looked(Ok(now.clone()));
        assert!(state.rates.is_some());
        (now.now_ns, now.started_ns) = (now.now_ns + 1, now.started_ns + 1);
        state.looked(Ok(now));
        assert_eq!(state.rates, None);
    }

    #[test]
    fn the_focus_goes_around_in_both_directions() {
        let mut state = State::new("api".to_owned());
        state.pressed(Key::Down);
        state.pressed(Key::Previous);
        assert_eq!((state.focus, state.scroll), (Panel::Losses, 0));
        state.pressed(Key::Next);
        state.pressed(Key::Next);
        assert_eq!(state.focus, Panel::Bounds);
    }

    #[test]
    fn control_c_quits_and_c_alone_does_nothing() {
        let (code, control) = (KeyCode::Char('c'), KeyModifiers::CONTROL);
        assert_eq!(Key::of(KeyEvent::new(code, control)), Some(Key::Quit));
        assert_eq!(Key::of(KeyEvent::new(code, KeyModifiers::NONE)), None);
        let mut released = KeyEvent::new(KeyCode::Char('q'), KeyModifiers::NONE);
        released.kind = KeyEventKind::Release;
        assert_eq!(Key::of(released), None);
    }
}

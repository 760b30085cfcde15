//! The state of the screen as characters and colors.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Style, Stylize};
use ratatui::text::{Line, Text};
use ratatui::widgets::{Block, Cell, Paragraph, Row, Table};

use super::super::client::{Level, show};
use super::panels::{Column, Grid, Tone, Width, grid};
use super::state::{Following, Panel, Shows, State};

/// More findings than this would push the panels off the screen; the rest is counted.
const FINDINGS_MAX: usize = 4;

/// Borders and the line of titles.
const AROUND_ROWS: u16 = 3;

/// On a low terminal the rows of signals and losses give way before these.
const MIDDLE_ROWS: u16 = 5;

const HELP: &[&str] = &[
    "q, Ctrl-C       quit",
    "p, space        hold the screen still, and go on",
    "Tab, arrows     the next panel, rows of this one",
    "Enter           this panel alone, and all again",
    "?               this page, and back",
    "",
    "Doors           what senders send: requests, spans and records and points, bytes inflated",
    "Log, queues     how full each bound is; what everyone has read makes room by itself",
    "Destinations    what they take, how much of the log they have not taken, how they are",
    "Evidence        by signal, and what each consumer holds: unread, in queues, in journeys",
    "Losses          what went no further since the start, what is being lost now first",
    "",
    "`hopline status` says all of it once, as text.",
];

pub(super) fn draw(frame: &mut Frame<'_>, state: &State) {
    let wrong = wrong(state);
    let height = u16::try_from(wrong.len()).unwrap_or(u16::MAX);
    let [top, said, body, foot] = Layout::vertical([
        Constraint::Length(1),
        Constraint::Length(height),
        Constraint::Min(0),
        Constraint::Length(1),
    ])
    .areas(frame.area());
    frame.render_widget(head(state), top);
    frame.render_widget(Text::from(wrong), said);
    match state.shows {
        Shows::AllPanels => panels(frame, body, state),
        Shows::OnePanel => panel(frame, body, state.focus, state),
        Shows::Help => {
            let lines: Vec<Line<'_>> = HELP.iter().map(|line| Line::from(*line)).collect();
            frame.render_widget(Paragraph::new(lines).block(Block::bordered().title("Help")), body);
        }
    }
    let keys = "q quit  p pause  Tab next panel  Enter alone  arrows scroll  ? help";
    frame.render_widget(Line::from(keys).dim(), foot);
}

fn head(state: &State) -> Line<'_> {
    let mut text = format!("hopline at {}", show::plain(&state.api));
    if let Some(now) = &state.latest {
        let up = show::age(now.now_ns.saturating_sub(now.started_ns));
        let ready = if now.ready { "ready" } else { "not ready" };
        text.push_str(&format!(", {}: {ready}, ack {}, up {up}", now.version, now.ack));
    }
    match state.following {
        Following::Yes => Line::from(text).bold(),
        Following::Paused => Line::from(text + "  PAUSED").bold().yellow(),
    }
}

/// What is wrong, one line each, and always at least one line.
fn wrong(state: &State) -> Vec<Line<'_>> {
    if let Some((why, times)) = &state.away {
        let times = if *times == 1 { "once".to_owned() } else { format!("{times} times") };
        let shown = if state.latest.is_some() { " What is below is from before." } else { "" };
        let text = format!("{why}. Asked {times}, trying again.{shown}");
        return vec![Line::from(text).white().on_red()];
    }
    if state.latest.is_none() {
        return vec![Line::from("Asking ...")];
    }
    let Some((first, rest)) = state.findings.split_first() else {
        return vec![Line::from("Nothing is wrong.").green()];
    };
    let shown = std::iter::once(first).chain(rest).take(FINDINGS_MAX);
    let mut lines: Vec<_> = shown.map(finding).collect();
    let more = state.findings.len().saturating_sub(FINDINGS_MAX);
    if more > 0 {
        lines.pop();
        lines.push(Line::from(format!("and {} more: `hopline status`", more + 1)).dim());
    }
    lines
}

fn finding(finding: &super::super::client::Finding) -> Line<'_> {
    let line = Line::from(finding.text.as_str());
    match finding.level {
        Level::Act => line.red().bold(),
        Level::Know => line.yellow(),
    }
}

fn panels(frame: &mut Frame<'_>, area: Rect, state: &State) {
    let rows = |panel| {
        let rows = grid(panel, state).rows.len().max(1);
        u16::try_from(rows).unwrap_or(u16::MAX).saturating_add(AROUND_ROWS)
    };
    let [doors, middle, below] = Layout::vertical([
        Constraint::Length(rows(Panel::Doors)),
        Constraint::Min(MIDDLE_ROWS),
        Constraint::Length(rows(Panel::Evidence)),
    ])
    .areas(area);
    let halves = Layout::horizontal([Constraint::Percentage(50), Constraint::Percentage(50)]);
    let [bounds, destinations] = halves.areas(middle);
    let [evidence, losses] = halves.areas(below);
    let areas = [doors, bounds, destinations, evidence, losses];
    for (which, area) in Panel::ALL.into_iter().zip(areas) {
        panel(frame, area, which, state);
    }
}

fn panel(frame: &mut Frame<'_>, area: Rect, which: Panel, state: &State) {
    let grid = grid(which, state);
    let has_focus = which == state.focus;
    let border = if has_focus { Style::new().cyan() } else { Style::new().dark_gray() };
    let block = Block::bordered().title(grid.title).border_style(border);
    if grid.rows.is_empty() {
        frame.render_widget(Paragraph::new("none").dim().block(block), area);
        return;
    }
    // Scrolling ends where the last row is at the upper end.
    let above = if has_focus { state.scroll.min(grid.rows.len() - 1) } else { 0 };
    let Grid { columns, rows, .. } = grid;
    let widths = columns.iter().map(|column| match column.width {
        Width::Text(width) | Width::Number(width) => Constraint::Length(width),
        Width::Rest => Constraint::Fill(1),
    });
    let rows = rows.into_iter().skip(above).map(|row| {
        let cells = row.cells.into_iter().zip(columns).map(|(text, column)| cell(text, column));
        Row::new(cells).style(tone(row.tone))
    });
    let titles = columns.iter().map(|column| cell(column.title.to_owned(), column));
    let mut table = Table::new(rows, widths).block(block);
    if columns.iter().any(|column| !column.title.is_empty()) {
        table = table.header(Row::new(titles).dim());
    }
    frame.render_widget(table, area);
}

fn cell(text: String, column: &Column) -> Cell<'static> {
    let text = Text::from(text);
    Cell::from(match column.width {
        Width::Number(_) => text.right_aligned(),
        Width::Text(_) | Width::Rest => text,
    })
}

fn tone(tone: Tone) -> Style {
    match tone {
        Tone::Calm => Style::new(),
        Tone::Notable => Style::new().fg(Color::Yellow),
        Tone::Bad => Style::new().fg(Color::Red),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use ratatui::Terminal;
    use ratatui::backend::TestBackend;
    use serde_json::json;

    use super::super::super::client::Snapshot;
    use super::super::super::client::example::{compare, snapshot};
    use super::super::state::Key;
    use super::*;

    /// The characters of the screen, one line each.
    fn drawn(state: &State, width: u16, height: u16) -> String {
        let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
        terminal.draw(|frame| draw(frame, state)).unwrap();
        let cells = terminal.backend().buffer().content();
        let lines = cells.chunks(usize::from(width.max(1)));
        let lines = lines.map(|line| line.iter().map(|cell| cell.symbol()).collect::<String>());
        lines.map(|line| line.trim_end().to_owned() + "\n").collect()
    }

    /// The example, some seconds later, with so many requests.
    fn after(seconds: u64, requests: u64) -> Snapshot {
        let mut now = snapshot(&[
            ("/sources/0/requests", json!(requests)),
            ("/sources/0/items", json!(requests * 10)),
            ("/sources/0/bytes", json!(requests * 5000)),
            ("/exports/0/sent_items", json!(requests * 10)),
        ]);
        now.now_ns += seconds * 1_000_000_000;
        now
    }

    /// A gateway whose requests rose for five seconds.
    fn busy() -> State {
        let mut state = State::new("http://127.0.0.1:8317".to_owned());
        for (second, requests) in (0..).zip([600, 600, 700, 900, 1300, 1400]) {
            state.looked(Ok(after(second, requests)));
        }
        state
    }

    #[test]
    fn a_gateway_that_is_well_fills_an_ordinary_terminal() {
        compare("top/well.txt", &drawn(&busy(), 80, 24));
    }

    #[test]
    fn trouble_is_on_top_and_in_its_panel() {
        let mut state = busy();
        let mut now = after(6, 1500);
        now.exports[0].up = false;
        now.exports[0].retrying_since_ns = Some(now.now_ns - 240_000_000_000);
        now.exports[0].last_error = Some("connection refused".to_owned());
        now.log.cursors[0].lag_bytes = now.log.bytes_max / 100 * 92;
        now.sources[0].refused.insert("log_full".to_owned(), 12);
        now.ledger.signals[1].consumers[1].lost.insert("rejected".to_owned(), 340);
        state.looked(Ok(now));
        compare("top/ill.txt", &drawn(&state, 110, 32));
    }

    #[test]
    fn a_gateway_that_went_away_leaves_its_last_numbers() {
        let mut state = busy();
        state.looked(Err("no gateway answers at http://127.0.0.1:8317".to_owned()));
        compare("top/away.txt", &drawn(&state, 110, 24));
    }

    #[test]
    fn the_help_says_every_key() {
        let mut state = busy();
        state.pressed(Key::Help);
        compare("top/help.txt", &drawn(&state, 100, 20));
    }

    #[test]
    fn one_panel_alone_can_be_scrolled_to_its_last_row() {
        let mut state = busy();
        state.pressed(Key::Next);
        state.pressed(Key::Alone);
        (0..100).for_each(|_| state.pressed(Key::Down));
        let shown = drawn(&state, 80, 10);
        assert!(shown.contains("log kept") && !shown.contains("log unread"), "{shown}");
    }

    #[test]
    fn a_paused_screen_says_so() {
        let mut state = busy();
        state.pressed(Key::Pause);
        assert!(drawn(&state, 100, 24).lines().next().unwrap().ends_with("PAUSED"));
    }

    proptest! {
        #[test]
        fn no_terminal_is_too_small(width in 1..200_u16, height in 1..60_u16) {
            drawn(&busy(), width, height);
        }
    }
}

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

const HELP: &[&str] = &[
    "q, Ctrl-C       quit",
    "p, space        hold the screen still, and go on",
    "Tab, arrows     the next panel, rows of this one",
    "Enter           this panel alone, and all again",
    "?               this page, and back",
    "",
    "Doors           what senders send: requests, spans and records and points, bytes inflated",
    "Queues          how full each bound is; a log is trimmed only of what everyone has read",
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
        let rows = grid(panel, state).rows.len();
        u16::try_from(rows).unwrap_or(u16::MAX).max(1).saturating_add(AROUND_ROWS)
    };
    let [doors, middle, below] = Layout::vertical([
        Constraint::Length(rows(Panel::Doors)),
        Constraint::Min(rows(Panel::Bounds)),
        Constraint::Length(rows(Panel::Evidence).max(6)),
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
        let cells = row.cells.into_iter().zip(&columns).map(|(text, column)| cell(text, column));
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

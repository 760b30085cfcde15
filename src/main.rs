//! The `hopline` program.

use std::error::Error;
use std::io::{self, IsTerminal, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use hopline::evidence::Nanos;
use hopline::serve::client;
use hopline::serve::client::Verdict;
use hopline::serve::top;
use hopline::settings::{self, Bound, Format, Loaded, Sources, Telemetry};
use hopline::{demo, pipeline};
use mimalloc::MiMalloc;
use tracing::Level;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, fmt, reload};

#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

type Failure = Box<dyn Error>;
type Outcome = Result<(), Failure>;

/// The exit code of `hopline status` when someone has to do something.
const NEEDS_A_PERSON: u8 = 2;

/// Where a gateway's API is by default.
const API: &str = "http://127.0.0.1:8317";

const EXAMPLES: &str = "\
Examples:
  hopline run                                      with the defaults, on this machine only
  hopline run --config gateway.yaml --set log.keep=12h
  hopline check --config gateway.yaml              is it right, and what is in effect?
  hopline demo                                     send a small shop's evidence to it
  hopline status                                   is it well?
  hopline search 'failed:true service:checkout'    which requests failed there?";

const SETTINGS: &str = "\
Settings are read from the files in order, then from the environment (HOPLINE__LOG__KEEP is
log.keep), then from --set. `hopline check` prints every key, its value and where it came from.";

/// Joins all that was seen of one request, and says where and why it failed.
#[derive(Debug, Parser)]
#[command(version, after_help = EXAMPLES)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the gateway until it is told to stop.
    #[command(after_help = SETTINGS)]
    Run(Given),
    /// Check the settings: print every key in effect and where it came from, then what may be held
    /// in memory. Exit with 1 when they are refused, or a file that they name cannot be used:
    /// certificates, keys, followed files.
    #[command(after_help = SETTINGS)]
    Check(Given),
    /// Search the journeys of a running gateway.
    #[command(after_help = "\
Examples:
  hopline search 'failed:true service:checkout'
  hopline search '\"card processor timeout\"' --limit 5 --json")]
    Search(Search),
    /// Is a running gateway well? What is wrong, then where everything is. Looks twice, a second
    /// apart. Exit with 0 when it is well, with 2 when someone has to do something, with 1 when it
    /// cannot be asked.
    #[command(after_help = "\
Examples:
  hopline status
  hopline status --api http://gateway:8317 --json | jq .log.cursors
  hopline status > /dev/null || page-someone")]
    Status(Status),
    /// Watch a running gateway: rates, queues, destinations, losses. Goes on when the gateway goes
    /// away, until it is back.
    #[command(after_help = "\
Keys:
  q quit   p pause   Tab next panel   Enter that panel alone   arrows scroll   ? help

Examples:
  hopline top
  hopline top --api http://gateway:8317 --interval 5s")]
    Top(Top),
    /// Play a small shop of six services, some of whose requests fail, into a gateway.
    #[command(after_help = "\
Examples:
  hopline demo
  hopline demo --rate 200 --seconds 30 --flows http://127.0.0.1:4318
  hopline demo --endpoint https://gateway:4317 --token-file token --ca-file ca.pem")]
    Demo(Demo),
}

#[derive(Args, Debug)]
struct Given {
    /// A file of settings in YAML; may be given again, a later one goes over an earlier one.
    #[arg(long = "config", value_name = "FILE")]
    files: Vec<PathBuf>,
    /// One setting, over all files and the environment; may be given again.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    sets: Vec<String>,
}

/// A gateway that is running.
#[derive(Args, Debug)]
struct Running {
    /// The gateway to ask.
    #[arg(long, value_name = "URL", default_value = API)]
    api: String,
    /// A file that holds the token, for an API that asks for one.
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// Certificates of the authorities to trust in place of the system's, in PEM.
    #[arg(long, value_name = "FILE")]
    ca_file: Option<PathBuf>,
}

#[derive(Args, Debug)]
struct Search {
    /// What to look for. Empty finds the newest.
    query: String,
    #[command(flatten)]
    gateway: Running,
    /// At most so many journeys.
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=1000))]
    limit: u32,
    /// Print the answer as JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Args, Debug)]
struct Status {
    #[command(flatten)]
    gateway: Running,
    /// Print all that the gateway says, as JSON. The exit code is the same.
    #[arg(long)]
    json: bool,
}

#[derive(Args, Debug)]
struct Top {
    #[command(flatten)]
    gateway: Running,
    /// How often to look: 250ms to 60s.
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = top::interval)]
    interval: Duration,
}

#[derive(Args, Debug)]
struct Demo {
    /// Where to send it: any door for OTLP over gRPC, http:// or https://.
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:4317")]
    endpoint: String,
    /// Requests per second.
    #[arg(long, value_name = "N", default_value_t = 5.0)]
    rate: f64,
    /// Stop after so many seconds, not only when told to.
    #[arg(long, value_name = "N")]
    seconds: Option<u64>,
    /// The same seed plays the same requests, with the same trace ids. Another one each time when
    /// it is not given.
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// Where to send network flows as well: a door for HTTP.
    #[arg(long, value_name = "URL")]
    flows: Option<String>,
    /// A file that holds the token, for doors that ask for one.
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// Certificates of the authorities to trust in place of the system's, in PEM.
    #[arg(long, value_name = "FILE")]
    ca_file: Option<PathBuf>,
}

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(said) => return not_run(&said),
    };
    match cli.command.execute() {
        Ok(code) => code,
        Err(error) => {
            report(error.as_ref());
            ExitCode::FAILURE
        }
    }
}

/// Help and version are what was asked for. A wrong line is a failure like any other: clap's own
/// code for it would say that a gateway needs a person.
fn not_run(said: &clap::Error) -> ExitCode {
    // Nobody is left to tell when this cannot be printed.
    drop(said.print());
    if said.use_stderr() { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

impl Command {
    fn execute(self) -> Result<ExitCode, Failure> {
        match self {
            Self::Run(given) => run(&given.into_sources())?,
            Self::Check(given) => check(&given.into_sources(), &mut io::stdout().lock())?,
            Self::Search(search) => ask(search)?,
            Self::Status(status) => return look(status),
            Self::Top(Top { gateway, interval }) => {
                runtime()?.block_on(top::run(gateway.into(), interval))?;
            }
            Self::Demo(demo) => play(demo)?,
        }
        Ok(ExitCode::SUCCESS)
    }
}

impl From<Running> for client::Target {
    fn from(Running { api, token_file, ca_file }: Running) -> Self {
        Self { api, token_file, ca_file }
    }
}

impl Given {
    fn into_sources(self) -> Sources {
        Sources::of_process(self.files, self.sets)
    }
}

fn run(sources: &Sources) -> Outcome {
    let loaded = Loaded::load(sources)?;
    let set_level = begin_log(loaded.settings.telemetry)?;
    let runtime = runtime()?;
    let ran = runtime.block_on(pipeline::run(loaded, sources.clone(), set_level));
    // At the deadline there may be work that does not end; it must not keep the process.
    runtime.shutdown_background();
    Ok(ran?)
}

fn check(sources: &Sources, out: &mut impl Write) -> Outcome {
    let settings = settings::load(sources)?;
    for line in settings::explain(sources)? {
        writeln!(out, "{} = {}  # {}", line.key, line.value, line.origin)?;
    }
    let bounds = settings.memory();
    writeln!(out, "\nMemory when every bound is reached:")?;
    for bound in &bounds {
        writeln!(out, "  {bound}")?;
    }
    let sum =
        Bound { name: "together".to_owned(), bytes: bounds.iter().map(|bound| bound.bytes).sum() };
    let most = Bound { name: "memory_max".to_owned(), bytes: settings.memory_max };
    writeln!(out, "  {sum}, {most}")?;
    Ok(pipeline::check(&settings)?)
}

/// Hopline's own log goes to standard error; its dependencies speak up only when something is wrong.
/// Answers what changes its level later.
fn begin_log(telemetry: Telemetry) -> Result<impl Fn(Level) + Send + Sync, Failure> {
    let layer = fmt::layer().with_writer(io::stderr).with_ansi(io::stderr().is_terminal());
    let layer = match telemetry.format {
        Format::Human => layer.boxed(),
        Format::Json => layer.json().boxed(),
    };
    let (filter, handle) = reload::Layer::new(targets(telemetry.level));
    tracing_subscriber::registry().with(layer.with_filter(filter)).try_init()?;
    // It fails only when the log is no more.
    Ok(move |level| drop(handle.reload(targets(level))))
}

fn targets(level: Level) -> Targets {
    let others = level.min(Level::WARN);
    Targets::new().with_default(others).with_target("hopline", level)
}

fn ask(search: Search) -> Outcome {
    let target = search.gateway.into();
    let asked = client::search(&target, &search.query, search.limit);
    let answer = runtime()?.block_on(asked)?;
    let text = if search.json { client::json(&answer) } else { client::table(&answer) };
    io::stdout().lock().write_all(text.as_bytes())?;
    Ok(())
}

fn look(status: Status) -> Result<ExitCode, Failure> {
    let looked = runtime()?.block_on(client::status(&status.gateway.into()))?;
    let text = if status.json { client::json(&looked.answer) } else { looked.report };
    io::stdout().lock().write_all(text.as_bytes())?;
    Ok(match looked.verdict {
        Verdict::Well => ExitCode::SUCCESS,
        Verdict::NeedsAPerson => ExitCode::from(NEEDS_A_PERSON),
    })
}

fn play(demo: Demo) -> Outcome {
    let _level = begin_log(Telemetry { level: Level::INFO, format: Format::Human })?;
    let start = now();
    let options = demo::Options {
        endpoint: demo.endpoint,
        rate: demo.rate,
        duration: demo.seconds.map(Duration::from_secs),
        seed: demo.seed.unwrap_or(start.0),
        flows: demo.flows,
        token_file: demo.token_file,
        ca_file: demo.ca_file,
        start,
    };
    let summary = runtime()?.block_on(demo::run(options, async {
        // Without a signal handler the demo ends with its duration, or with the process.
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    }))?;
    writeln!(io::stdout(), "{summary}")?;
    Ok(())
}

fn runtime() -> io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build()
}

#[expect(clippy::disallowed_methods, reason = "the demo begins now")]
fn now() -> Nanos {
    Nanos::from(std::time::SystemTime::now())
}

/// The error and what caused it, on one line.
#[expect(clippy::print_stderr, reason = "the one place that speaks to whoever started the program")]
fn report(error: &dyn Error) {
    eprintln!("error: {}", settings::in_full(error));
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }

    #[test]
    fn settings_are_taken_in_the_order_given() {
        let line =
            ["hopline", "run", "--config", "a", "--set", "b=1", "--config", "c", "--set", "b=2"];

        let Command::Run(given) = Cli::parse_from(line).command else { panic!("run was given") };

        assert_eq!(given.files, [PathBuf::from("a"), PathBuf::from("c")]);
        assert_eq!(given.sets, ["b=1", "b=2"]);
    }

    #[test]
    fn a_check_prints_each_key_with_its_origin_and_then_the_memory() {
        let sources = Sources { sets: vec!["log.keep=2h".to_owned()], ..Sources::default() };
        let mut out = Vec::new();

        check(&sources, &mut out).unwrap();

        let out = String::from_utf8(out).unwrap();
        assert!(out.starts_with("data_dir = ./data  # default\n"), "{out}");
        assert!(out.contains("\nlog.keep = 2h  # --set\n"), "{out}");
        assert!(out.ends_with("\n  together 930.0MiB, memory_max 2.5GiB\n"), "{out}");
    }

    #[test]
    fn a_check_of_refused_settings_fails() {
        let sources = Sources { sets: vec!["log.keep=2".to_owned()], ..Sources::default() };

        let error = check(&sources, &mut Vec::new()).unwrap_err();

        assert_eq!(error.to_string(), "log.keep must be 1s to 30d, not 2 (--set)");
    }
}

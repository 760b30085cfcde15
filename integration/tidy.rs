//! Checks on the source text: who may import whom, where a crate is spoken, how long a file grows,
//! and whether what the documents name exists.

use std::fs;
use std::path::{Path, PathBuf};

/// Folders that compute and never wait.
const PURE: &[&str] = &[
    "evidence",
    "ledger",
    "wire",
    "normalize",
    "redact",
    "limit",
    "join",
    "diagnose",
    "measure",
    "sample",
];

/// Third-party crates and the only folders that speak them. Tests may speak all.
const HOMES: &[(&str, &str)] = &[
    ("config", "settings"),
    ("dashmap", "evidence limit"),
    ("hdrhistogram", "measure"),
    ("hyper_rustls", "export serve"),
    ("httpdate", "export"),
    ("opentelemetry_proto", "receive export demo"),
    ("rustls", "receive export serve"),
    ("sha2", "receive"),
    ("subtle", "receive"),
    ("ratatui", "serve"),
    ("tantivy", "index"),
    ("tokio_rustls", "receive export"),
    ("tonic", "receive export demo"),
    ("x509_parser", "receive"),
    ("yaml_rust2", "settings"),
];

const FILE_LINES_MAX: usize = 400;

/// Folders of the repository whose files a document may name.
const NAMED: &[&str] = &["src/", "config/", "integration/", "docs/", "deploy/", "benches/"];

#[test]
fn imports_point_up_the_data_path() {
    let order = order();
    forbid(|folder, line| {
        let own = rank(&order, folder);
        line.split("crate::").skip(1).any(|rest| own < rank(&order, word(rest)))
    });
}

#[test]
fn the_data_path_is_all_that_src_holds() {
    let mut listed = order();
    let mut found: Vec<_> =
        files("src", ".rs").iter().map(|path| folder(path).to_owned()).collect();
    listed.extend(["lib".to_owned(), "main".to_owned()]);
    listed.sort();
    found.sort();
    found.dedup();

    assert_eq!(found, listed);
}

#[test]
fn a_crate_is_spoken_only_at_home() {
    forbid(|folder, line| {
        let is_home = |homes: &str| homes.split(' ').any(|home| home == folder);
        HOMES.iter().any(|(name, homes)| names(line, name) && !is_home(homes))
    });
}

#[test]
fn pure_stages_never_wait() {
    forbid(|folder, line| {
        PURE.contains(&folder) && (line.contains("async ") || line.contains(".await"))
    });
}

#[test]
fn files_stay_short() {
    for (file, text) in sources() {
        let length = above_tests(&text).len();
        assert!(length <= FILE_LINES_MAX, "{}: {length} lines", file.display());
    }
}

#[test]
fn every_folder_opens_by_saying_what_it_does() {
    for (file, text) in sources().into_iter().filter(|(file, _)| file.ends_with("mod.rs")) {
        assert!(text.starts_with("//! "), "{}", file.display());
    }
}

#[test]
fn nothing_is_left_to_do() {
    let words = [concat!("TO", "DO"), concat!("FIX", "ME")];
    let folders = ["src", "integration", "benches", "config", "deploy", "docs"];
    for file in folders.iter().flat_map(|folder| files(folder, "")) {
        let text = fs::read_to_string(&file).unwrap_or_default();
        let left = words.iter().find(|word| text.contains(*word));
        assert_eq!(left, None, "{}", file.display());
    }
}

#[test]
fn what_the_documents_name_exists() {
    let mut documents = files("docs", ".md");
    documents.extend(Some(PathBuf::from("README.md")).filter(|path| path.exists()));
    for document in documents {
        let text = read(&document);
        let missing: Vec<_> = paths(&text).filter(|path| !Path::new(path).exists()).collect();
        assert_eq!(missing, Vec::<&str>::new(), "{}", document.display());
    }
}

#[test]
fn paths_are_found_in_prose() {
    let text =
        "See `src/join/mod.rs`, docs/a.md. Not https://example.com/docs/b or lib/src/c; src/*.rs";

    let found: Vec<_> = paths(text).collect();

    assert_eq!(found, ["src/join/mod.rs", "docs/a.md", "src/"]);
}

#[test]
fn code_below_a_test_module_in_its_own_file_is_still_code() {
    let text = "use a;\n#[cfg(test)]\nmod tests;\nuse b;\n#[cfg(test)]\nmod more {\nuse c;\n}\n";

    assert_eq!(above_tests(text), [(1, "use a;"), (4, "use b;")]);
}

#[test]
fn a_crate_is_told_from_a_module_of_its_name() {
    let lines = ["config::File", "use config::File;", "crate::config::File", "my_config::File"];

    assert_eq!(lines.map(|line| names(line, "config")), [true, true, false, false]);
}

/// Fails with every line of production code for which `is_fault(folder, line)` holds.
#[track_caller]
fn forbid(is_fault: impl Fn(&str, &str) -> bool) {
    let mut faults = Vec::new();
    for (file, text) in sources() {
        let lines = above_tests(&text).into_iter();
        let code = lines.filter(|(_, line)| !line.trim_start().starts_with("//"));
        let faulty = code.filter(|(_, line)| is_fault(folder(&file), line));
        faults.extend(faulty.map(|(number, line)| format!("{}:{number}: {line}", file.display())));
    }
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
}

/// The folders in data-path order, as `src/lib.rs` declares them.
fn order() -> Vec<String> {
    let text = read(Path::new("src/lib.rs"));
    let modules = text.lines().filter_map(|line| line.strip_prefix("pub mod "));
    modules.map(|name| name.trim_end_matches(';').to_owned()).collect()
}

/// Folders that are not listed, such as the crate root, sort below everything.
fn rank(order: &[String], folder: &str) -> usize {
    order.iter().position(|name| name == folder).unwrap_or(order.len())
}

/// Numbered lines above the test module. A test module in a file of its own hides nothing.
fn above_tests(text: &str) -> Vec<(usize, &str)> {
    let mut found = Vec::new();
    let mut lines = (1..).zip(text.lines()).peekable();
    while let Some((number, line)) = lines.next() {
        let module = lines.peek().and_then(|(_, next)| test_module(line, next));
        match module {
            Some(declared) if declared.ends_with('{') => break,
            Some(_) => drop(lines.next()),
            None => found.push((number, line)),
        }
    }
    found
}

/// What follows `mod` when the two lines declare a module for tests.
fn test_module<'a>(line: &str, next: &'a str) -> Option<&'a str> {
    let declared = next.split_once("mod ").filter(|(before, _)| !before.starts_with(' '));
    declared.map(|(_, name)| name).filter(|_| line == "#[cfg(test)]")
}

/// Whether the line uses the external crate `name`, not a module of ours that shares it.
fn names(line: &str, name: &str) -> bool {
    let path = format!("{name}::");
    let foreign =
        |before: &str| !before.ends_with(|c: char| c == ':' || c == '_' || c.is_alphanumeric());
    line.match_indices(&path).any(|(at, _)| line.get(..at).is_some_and(foreign))
}

/// Paths of this repository that a text names.
fn paths(text: &str) -> impl Iterator<Item = &str> {
    let inside = |c: char| c.is_ascii_alphanumeric() || "_-./:".contains(c);
    let tokens = text.split(move |c: char| !inside(c));
    let ours = tokens.filter(|token| NAMED.iter().any(|folder| token.starts_with(folder)));
    ours.map(|token| token.trim_end_matches(['.', ':']))
}

fn word(text: &str) -> &str {
    text.split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap_or("")
}

fn folder(file: &Path) -> &str {
    let first = file.iter().nth(1).and_then(|part| part.to_str());
    first.map_or("", |name| name.trim_end_matches(".rs"))
}

/// All source files of the program; files and folders that only tests see are left out.
fn sources() -> Vec<(PathBuf, String)> {
    let all: Vec<_> = files("src", ".rs").into_iter().map(|path| (read(&path), path)).collect();
    let tests: Vec<_> = all.iter().flat_map(|(text, path)| test_modules(text, path)).collect();
    let for_tests = |path: &Path| tests.iter().any(|module| path.starts_with(module));
    let program = all.into_iter().filter(|(_, path)| !for_tests(&path.with_extension("")));
    program.map(|(text, path)| (path, text)).collect()
}

/// The modules that a `mod.rs` declares for tests only, as paths without an extension.
fn test_modules(text: &str, path: &Path) -> Vec<PathBuf> {
    let pairs = text.lines().zip(text.lines().skip(1));
    let modules = pairs.filter_map(|(line, next)| test_module(line, next)?.strip_suffix(';'));
    modules.map(|name| path.with_file_name(name)).collect()
}

/// All files below a folder whose name ends in `extension`; none when there is no such folder.
fn files(folder: &str, extension: &str) -> Vec<PathBuf> {
    const BUILT: &[&str] = &["node_modules", "target", "__pycache__"];
    let mut found = Vec::new();
    let mut folders = vec![PathBuf::from(folder)];
    while let Some(folder) = folders.pop() {
        let Ok(entries) = fs::read_dir(folder) else { continue };
        for path in entries.map(|entry| entry.expect("readable entry").path()) {
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or("");
            if path.is_dir() && !BUILT.contains(&name) {
                folders.push(path);
            } else if path.is_file() && name.ends_with(extension) {
                found.push(path);
            }
        }
    }
    found
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).expect("source is utf-8")
}

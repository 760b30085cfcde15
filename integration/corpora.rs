//! Every input that a fuzz target began with, or once failed on.

#[path = "fuzz/bodies.rs"]
mod bodies;

use std::fs;
use std::path::Path;

type Body = fn(&[u8]);

#[test]
fn every_input_of_the_corpus_is_survived() {
    let targets: [(&str, Body); 6] = [
        ("otlp", bodies::otlp),
        ("json", bodies::json),
        ("flows", bodies::flows),
        ("log", bodies::log),
        ("settings", bodies::settings),
        ("query", bodies::query),
    ];
    for (name, body) in targets {
        let folder = Path::new("integration/fuzz/corpus").join(name);
        let files: Vec<_> = fs::read_dir(&folder).unwrap().map(|it| it.unwrap().path()).collect();
        assert!(!files.is_empty(), "{} is empty", folder.display());
        for file in files {
            let bytes = fs::read(&file).unwrap();
            let survived = std::panic::catch_unwind(|| body(&bytes));
            assert!(survived.is_ok(), "{} fails on {}", name, file.display());
        }
    }
}

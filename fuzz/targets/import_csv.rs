//! A file that is to be imported: its faults are told by line, and telling them is all that happens.
#![no_main]

use libfuzzer_sys::fuzz_target;
use saldo::fuzzing::import_csv;

fuzz_target!(|bytes: &[u8]| {
    let tried = import_csv(bytes);
    if let Err(problems) = &tried {
        assert!(problems.starts_with("line "), "{problems}");
    }
    // A file is read twice: to try it, and then in earnest.
    assert_eq!(import_csv(bytes), tried);
});

//! The manifest of a backup, with the hash that belongs to it.
#![no_main]

use libfuzzer_sys::fuzz_target;
use saldo_fuzz::Folder;
use store_journal::backup::Manifest;

fuzz_target!(|text: &str| {
    let hash = blake3::hash(text.as_bytes()).to_hex();
    let folder = Folder::default();
    folder.put("backup.manifest", format!("{text}blake3 {hash}\n").as_bytes());
    let Ok(manifest) = Manifest::read(&folder) else {
        return;
    };
    assert_eq!(manifest.to_text(), format!("{text}blake3 {hash}\n"));
});

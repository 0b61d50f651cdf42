//! Parts of the binary that read what others wrote, for `fuzz/` alone: nobody else is to rely on them.

/// What is wrong with a file of lines of JSON that is to be imported, else how many actions it gives.
///
/// # Errors
/// The lines with what is wrong.
pub fn import_lines(bytes: &[u8]) -> Result<u64, String> {
    crate::cli::import::try_bytes(bytes, false)
}

/// The same of opening balances as CSV.
///
/// # Errors
/// The lines with what is wrong.
pub fn import_csv(bytes: &[u8]) -> Result<u64, String> {
    crate::cli::import::try_bytes(bytes, true)
}

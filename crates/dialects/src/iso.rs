//! ISO 4217, as some vendors' pages name it.

use ledger::{Asset, AssetKind};

/// Whether an asset is a currency of ISO 4217: these have their numeric codes as numbers, below 1000.
#[must_use]
pub fn is_currency(asset: &Asset) -> bool {
    asset.kind == AssetKind::Fiat && asset.no.0 < 1000
}

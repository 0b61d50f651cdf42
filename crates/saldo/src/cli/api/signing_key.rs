//! `saldo signing-key`: the key that signs tokens.

use clap::Subcommand;
use ureq::http::Method;

use super::Ask;
use super::call::{Body, Call};
use super::failed::Failed;

#[derive(Subcommand)]
pub(crate) enum SigningKey {
    /// Signs new tokens with a new key; those signed before work until they end
    Rotate {
        /// Ends all tokens that were signed before
        #[arg(long)]
        revoke_old: bool,
    },
}

impl Ask for SigningKey {
    fn call(self) -> Result<Call, Failed> {
        let Self::Rotate { revoke_old } = self;
        // It is recorded in no book, so no key makes it known again.
        let call = Call::write_known(Method::POST, &["signing-key", "rotate"], None);
        Ok(call.body(Body::default().flag("revokeOld", revoke_old)))
    }
}

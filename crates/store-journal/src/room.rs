//! How many bytes the record of a command may take, so that its frame has room before it is decided.

use ledger::{Action, Bytes, Command, Findable, State, Text, TransactionId};
use store::gather::Asked;

/// No more is foreseen for a frame; it may grow beyond.
pub(crate) const MAX_WORST: u64 = 32 << 20;

// A move: two accounts, an asset, an amount, eight counters and two limits of at most 19 bytes each, four links.
const MOVE: u64 = 300;
const HEAD: u64 = 256;

/// The bytes that the record of what is asked will hardly exceed, with its links.
pub(crate) fn worst_case(state: &State, asked: &Asked) -> u64 {
    match asked {
        Asked::Decide(command) => worst_of_command(state, command),
        Asked::Adopt(record) => {
            let moves = record.booked().iter().map(|booked| booked.moves.len() as u64);
            HEAD + ledger::encoded_len(&record.action) as u64 + moves.sum::<u64>() * MOVE
        }
        Asked::Room(bytes) => *bytes,
    }
}

fn worst_of_command(state: &State, command: &Command) -> u64 {
    let moves_of = |hold: &TransactionId| {
        let hold = state.book(command.book).and_then(|book| book.holds.peek(hold));
        hold.map_or(1, |hold| hold.postings.len()) as u64
    };
    let texts = |texts: &ledger::Texts| {
        let findable = [&texts.reference, &texts.notes.external_id];
        let findable = findable.into_iter().flatten().map(Findable::bytes);
        let metadata = texts.notes.metadata.iter().map(Text::bytes);
        let all = findable.chain(metadata).map(|bytes| bytes.len() as u64 + 16);
        all.sum::<u64>()
    };
    let transaction = |t: &ledger::Transaction| {
        96 + t.texts.as_deref().map_or(0, texts) + t.postings.len() as u64 * (MOVE + 80)
    };
    HEAD + match &command.action {
        Action::Post(t) => transaction(t),
        Action::PostBatch(all) => all.iter().map(transaction).sum(),
        Action::Capture(capture) => moves_of(&capture.hold) * MOVE,
        Action::Release(release) => moves_of(&release.hold) * MOVE,
        Action::Expire { hold, .. } => moves_of(hold) * MOVE,
        Action::Reverse(_) => MOVE,
        register => ledger::encoded_len(register) as u64,
    }
}

//! Plain transactions: what they do to balances, positions and times.

use crate::script::check;

#[test]
fn a_transaction_debits_one_and_credits_the_other() {
    check(
        "
        post t1 x->a USD 1000                 => posted
        balance a USD settled=1000 reserved=0 incoming=0 available=1000 spendable=1000
        balance x USD settled=-1000 reserved=0 incoming=0 available=-1000 spendable=unlimited
        post t2 a->b USD 300                  => posted
        balance a USD settled=700
        balance b USD settled=300
        balance b EUR settled=0 spendable=0
        ",
    );
}

#[test]
fn postings_see_those_before_them() {
    check(
        "
        post t1 x->a USD 100, a->b USD 100, b->a USD 40   => posted
        balance a USD settled=40
        balance b USD settled=60
        # The order matters: the money is not there yet.
        post t2 a->b USD 100, x->a USD 100    => insufficient_funds a posting 0
        post t3 x->a USD 60, a->b USD 101     => insufficient_funds a posting 1
        balance a USD settled=40
        balance x USD settled=-100
        ",
    );
}

#[test]
fn assets_do_not_mix() {
    check(
        "
        post t1 x->a USD 100, x->a USDC@base 7  => posted
        post t2 a->b USD 7, a->b USDC@base 8    => insufficient_funds a posting 1
        post t3 a->b USDC@base 7                => posted
        post t4 a->b USDC@polygon 1             => insufficient_funds a posting 0
        balance a USD settled=100
        balance b USDC@base settled=7
        balance b USDC@polygon settled=0
        ",
    );
}

#[test]
fn many_accounts_in_one_transaction() {
    // More than the counters that are kept inline.
    let accounts: Vec<_> = (0..40)
        .map(|n| format!("account c{n} wallet owner=root"))
        .collect();
    let postings: Vec<_> = (0..40).map(|n| format!("x->c{n} USD {}", n + 1)).collect();
    let back: Vec<_> = (0..40).map(|n| format!("c{n}->a USD {}", n + 1)).collect();
    check(&format!(
        "{}
        post t1 {}, {}            => posted
        balance c39 USD settled=0
        balance a USD settled=820
        post t2 {}, {}, c0->a USD 1 => insufficient_funds c0 posting 80
        ",
        accounts.join("\n"),
        postings.join(", "),
        back.join(", "),
        postings.join(", "),
        back.join(", "),
    ));
}

#[test]
fn positions_count_refusals_but_no_replays_or_conflicts() {
    check(
        "
        position 3
        post t1 x->a USD 1         => posted
        position 4
        post t2 a->b USD 2         => insufficient_funds a posting 0
        position 5
        post t1 x->a USD 1         => replay: posted
        post t1 x->a USD 9         => conflict with 4
        expire nothing             => nothing
        position 5
        post t3 a->b USD 1         => posted
        position 6
        ",
    );
}

#[test]
fn recorded_time_is_the_stamp_or_just_after_the_last() {
    check(
        "
        advance 10s
        post t1 x->a USD 1         => posted
        recorded 10000000
        post t2 x->a USD 1         => posted
        recorded 10000001
        post t3 x->a USD 1 stamp=-5s  => posted
        recorded 10000002
        post t4 x->a USD 1 stamp=2s   => posted
        recorded 12000000
        post t5 x->a USD 1 stamp=1s   => posted
        recorded 12000001
        # A book's time is its own.
        @operator client other     => book 2
        recorded 10000000
        ",
    );
}

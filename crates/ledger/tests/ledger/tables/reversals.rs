//! Undoing transactions, never more than was posted.

use crate::script::check;

#[test]
fn a_whole_reversal() {
    check(
        "
        post t1 x->a USD 100, a->b USD 30       => posted
        reverse v1 t1                           => reversed
        balance a USD settled=0
        balance b USD settled=0
        balance x USD settled=0
        reverse v2 t1                           => reversal_exceeds
        reverse v3 t1 1                         => reversal_exceeds posting 0
        ",
    );
}

#[test]
fn reversals_in_parts() {
    check(
        "
        post t1 x->a USD 100, x->b USD 30       => posted
        reverse v1 t1 0:60,1:10                 => reversed
        balance a USD settled=40
        balance b USD settled=20
        reverse v2 t1 0:41                      => reversal_exceeds posting 0
        reverse v3 t1 0:20,0:21                 => reversal_exceeds posting 0
        reverse v4 t1 2:1                       => reversal_exceeds posting 2
        reverse v5 t1 1:0                       => amount_zero posting 1
        reverse v6 t1 0:20,0:20                 => reversed
        reverse v7 t1                           => reversed
        balance a USD settled=0
        balance b USD settled=0
        reverse v8 t1                           => reversal_exceeds
        ",
    );
}

#[test]
fn money_that_is_gone_is_not_given_back() {
    check(
        "
        post t1 x->a USD 100
        post t2 a->b USD 30
        reverse v1 t1                           => insufficient_funds a posting 0
        reverse v2 t1 71                        => insufficient_funds a posting 0
        reverse v3 t1 70                        => reversed
        reverse v4 t1 force                     => reversed overdrawn
        balance a USD settled=-30
        # A refused reversal counts for nothing.
        reverse v5 t1                           => reversal_exceeds
        ",
    );
}

#[test]
fn a_reversal_keeps_to_limits_and_states() {
    check(
        "
        account m main owner=root limit=USD,max=100
        post t1 x->m USD 100
        post t2 m->b USD 60
        post t3 x->m USD 60
        reverse v1 t2                           => balance_limit m posting 0
        update b status=frozen
        reverse v2 t2                           => account_frozen b posting 0
        update b status=active
        post t4 b->x USD 60
        update b status=closed
        reverse v3 t2                           => account_closed b posting 0
        reverse v4 t2 61                        => account_closed b posting 0
        ",
    );
}

#[test]
fn only_what_was_posted_is_reversed() {
    check(
        "
        post t1 x->a USD 100
        hold h1 a->b USD 50 expires=60s
        reverse v1 h1                           => not_posted
        reverse v2 h1 7:1                       => not_posted
        capture k1 h1 20                        => captured
        reverse v3 h1                           => not_posted
        release r1 h1 5
        reverse v4 r1                           => not_posted
        reverse v5 k1                           => reversed
        balance a USD settled=100 reserved=25
        balance b USD settled=0 incoming=25
        # What was reversed is not held again.
        see h1 held 25
        advance 60s
        expire h1
        reverse v6 expiry-of:h1                 => not_posted
        reverse v7 nowhere                      => transaction_not_found
        ",
    );
}

#[test]
fn a_reversal_of_a_capture_counts_its_own_postings() {
    check(
        "
        post t1 x->a USD 100
        hold h1 a->b USD 10, a->x USD 20
        # Takes of the second, lets the first go.
        capture k1 h1 1:15 final                => captured
        balance a USD settled=85 reserved=0
        reverse v1 k1 0:16                      => reversal_exceeds posting 0
        reverse v2 k1 1:1                       => reversal_exceeds posting 1
        reverse v3 k1                           => reversed
        balance a USD settled=100
        balance b USD settled=0
        ",
    );
}

#[test]
fn a_reversal_of_a_reversal() {
    check(
        "
        post t1 x->a USD 100, a->b USD 40
        reverse v1 t1                           => reversed
        balance b USD settled=0
        reverse v2 v1                           => reversed
        balance a USD settled=60
        balance b USD settled=40
        reverse v3 v1                           => reversal_exceeds
        # The first one is not renewed by that: it was reversed, once.
        reverse v4 t1                           => reversal_exceeds
        reverse v5 v2                           => reversed
        balance a USD settled=0
        ",
    );
}

#[test]
fn a_transaction_of_a_batch_is_reversed_by_itself() {
    check(
        "
        batch n1 post t1 x->a USD 10 | post t2 x->a USD 5 | hold h1 a->b USD 3  => posted
        reverse v1 t2                           => reversed
        balance a USD settled=10
        reverse v2 t2                           => reversal_exceeds
        reverse v3 t1 10                        => insufficient_funds a posting 0
        reverse v4 h1                           => not_posted
        ",
    );
}

//! Holds whose time is over.

use crate::script::check;

#[test]
fn an_expiry_lets_go_what_is_left() {
    check(
        "
        post t1 x->a USD 1000
        hold h1 a->b USD 300 expires=60s        => held
        capture k1 h1 100                       => captured
        expire h1                               => nothing
        advance 59s
        expire h1                               => nothing
        advance 1s
        balance a USD reserved=200
        expire h1                               => expired
        balance a USD settled=900 reserved=0
        balance b USD settled=100 incoming=0
        see h1 expired 0
        ",
    );
}

#[test]
fn each_hold_expires_once() {
    check(
        "
        post t1 x->a USD 1000
        hold h1 a->b USD 300 expires=60s
        hold h2 a->b USD 300 expires=60s
        hold h3 a->b USD 300
        release r1 h2
        advance 60s
        expire h1                               => expired
        expire h1                               => replay: expired
        position 9
        expire h2                               => nothing
        expire h3                               => nothing
        expire t1                               => nothing
        expire nowhere                          => nothing
        position 9
        see h3 held 300
        ",
    );
}

#[test]
fn after_its_time_a_hold_is_not_captured() {
    check(
        "
        post t1 x->a USD 1000
        hold h1 a->b USD 300 expires=60s
        hold h2 a->b USD 300 expires=60s
        advance 59s
        capture k1 h1 1                         => captured
        advance 1s
        # Until it is let go it still reserves.
        balance a USD reserved=599
        capture k2 h1 1                         => hold_expired
        capture k3 h1                           => hold_expired
        release r1 h1 1                         => released
        expire h1                               => expired
        # Nor does it show whether that happened yet.
        capture k4 h1                           => hold_expired
        release r2 h2                           => released
        see h2 released 0
        ",
    );
}

#[test]
fn money_that_is_due_is_let_go_before_it_is_missed() {
    check(
        "
        post t1 x->a USD 1000
        hold h1 a->x USD 300 expires=60s        => held
        capture k1 h1 100                       => captured
        balance a USD settled=900 reserved=200 available=700 spendable=700
        post t2 a->x USD 800                    => insufficient_funds a posting 0
        advance 61s
        # No need while there is enough.
        post t3 a->x USD 700                    => posted
        see h1 held 200
        post t4 a->x USD 150                    => posted after the expiry of h1
        see h1 expired 0
        balance a USD settled=50 reserved=0
        post t5 a->x USD 51                     => insufficient_funds a posting 0
        ",
    );
}

#[test]
fn the_earliest_expires_first_and_all_that_are_due() {
    check(
        "
        post t1 x->a USD 100
        hold h1 a->x USD 10 expires=3s
        hold h2 a->x USD 10 expires=1s
        hold h3 a->x USD 10, a->b USD 5 expires=2s
        hold h4 a->x USD 10 expires=90s
        hold h5 a->x USD 10
        # This one only comes in.
        hold h6 x->a USD 10 expires=1s
        advance 3s
        post t2 a->x USD 80                     => posted after the expiry of h2 h3 h1
        balance a USD settled=20 reserved=20 incoming=10
        post t3 a->x USD 1                      => insufficient_funds a posting 0
        ",
    );
}

#[test]
fn expiry_runs_ahead_even_when_it_does_not_help() {
    check(
        "
        post t1 x->a USD 100
        hold h1 a->x USD 10 expires=1s
        advance 1s
        post t2 a->x USD 1000                   => insufficient_funds a posting 0 after the expiry of h1
        position 7
        # Each posting that lacks money asks for its own account.
        post t3 x->b USD 5
        hold h2 b->x USD 5 expires=1s
        hold h3 a->x USD 100 expires=1s
        advance 1s
        post t4 a->x USD 100, b->x USD 5        => posted after the expiry of h3 h2
        ",
    );
}

#[test]
fn a_batch_and_a_capture_expire_first_too() {
    check(
        "
        post t1 x->a USD 100
        hold h1 a->x USD 60 expires=1s
        hold h2 a->x USD 40
        advance 1s
        capture k1 h2 70 over                   => captured after the expiry of h1
        hold h3 a->x USD 30 expires=1s
        advance 1s
        batch n1 post t2 x->b USD 1 | post t3 a->b USD 30 => posted after the expiry of h3
        balance a USD settled=0
        # And a reversal.
        hold h4 b->x USD 31 expires=1s
        advance 1s
        reverse v1 t3                           => reversed after the expiry of h4
        ",
    );
}

#[test]
fn a_hold_may_be_over_when_it_is_placed() {
    check(
        "
        post t1 x->a USD 100
        advance 10s
        hold h1 a->x USD 100 expires=-1s        => held
        capture k1 h1                           => hold_expired
        post t2 a->x USD 1                      => posted after the expiry of h1
        ",
    );
}

#[test]
fn nobody_can_keep_a_hold_from_expiring() {
    // Whoever knows how the id of an expiry follows from the hold's could else take that id before.
    check(
        "
        post t1 x->a USD 100
        hold h1 a->x USD 100 expires=1s         => held
        post expiry-of:h1 x->b USD 1            => id_taken
        advance 1s
        post t2 a->x USD 1                      => posted after the expiry of h1
        see h1 expired 0
        ",
    );
}

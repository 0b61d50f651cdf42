//! Holds: placed, captured in part, as a whole, beyond; released; and what they keep back meanwhile.

use crate::script::check;

#[test]
fn a_hold_reserves_on_one_side_and_promises_on_the_other() {
    check(
        "
        post t1 x->a USD 1000
        hold h1 a->b USD 300                    => held
        balance a USD settled=1000 reserved=300 incoming=0 available=700 spendable=700
        balance b USD settled=0 incoming=300 available=0
        post t2 a->x USD 701                    => insufficient_funds a posting 0
        hold h2 a->x USD 701                    => insufficient_funds a posting 0
        # What is promised can't be spent.
        post t3 b->x USD 1                      => insufficient_funds b posting 0
        see h1 held 300
        ",
    );
}

#[test]
fn captures_in_parts() {
    check(
        "
        post t1 x->a USD 1000
        hold h1 a->b USD 300                    => held
        capture k1 h1 100                       => captured
        see h1 held 200
        balance a USD settled=900 reserved=200
        balance b USD settled=100 incoming=200
        capture k2 h1 201                       => capture_exceeds_hold posting 0
        capture k3 h1 200                       => captured
        see h1 captured 0
        balance a USD settled=700 reserved=0
        capture k4 h1 1                         => hold_resolved
        capture k5 h1                           => hold_resolved
        release r1 h1                           => hold_resolved
        ",
    );
}

#[test]
fn a_capture_that_names_nothing_takes_all() {
    check(
        "
        post t1 x->a USD 1000
        hold h1 a->b USD 300
        capture k1 h1 1
        capture k2 h1                           => captured
        see h1 captured 0
        balance b USD settled=300 incoming=0
        ",
    );
}

#[test]
fn a_last_capture_lets_the_rest_go() {
    check(
        "
        post t1 x->a USD 1000
        hold h1 a->b USD 300, a->x USD 50
        capture k1 h1 120 final                 => captured
        see h1 captured 0+0
        balance a USD settled=880 reserved=0
        balance b USD settled=120 incoming=0
        # With one posting named several times, too.
        hold h2 a->b USD 300, a->x USD 50
        capture k2 h2 0:100,0:50,1:10 final     => captured
        see h2 captured 0+0
        balance a USD settled=720 reserved=0
        balance x USD settled=-990 incoming=0
        ",
    );
}

#[test]
fn captures_of_several_postings() {
    check(
        "
        post t1 x->a USD 1000, x->b EUR 1000
        hold h1 a->b USD 300, b->a EUR 200, a->x USD 100   => held
        balance a USD reserved=400
        balance a EUR incoming=200
        capture k1 h1 1:50,0:10                 => captured
        see h1 held 290+150+100
        capture k2 h1 3:1                       => capture_exceeds_hold posting 3
        capture k3 h1 0:1,2:101                 => capture_exceeds_hold posting 2
        capture k4 h1 0:200,0:91                => capture_exceeds_hold posting 0
        capture k5 h1 0:200,0:90                => captured
        see h1 held 0+150+100
        capture k6 h1                           => captured
        see h1 captured 0+0+0
        balance a USD settled=600 reserved=0
        balance a EUR settled=200 incoming=0
        ",
    );
}

#[test]
fn more_than_held_is_taken_when_allowed_and_there() {
    check(
        "
        post t1 x->a USD 1000
        hold h1 a->b USD 300
        capture k1 h1 301                       => capture_exceeds_hold posting 0
        capture k2 h1 1001 over                 => insufficient_funds a posting 0
        see h1 held 300
        capture k3 h1 400 over                  => captured
        see h1 captured 0
        balance a USD settled=600 reserved=0
        balance b USD settled=400 incoming=0
        hold h2 a->b USD 300
        capture k4 h2 700 over force            => captured overdrawn
        balance a USD settled=-100
        # Force alone does not allow more.
        hold h3 x->b USD 1
        capture k5 h3 2 force                   => capture_exceeds_hold posting 0
        # Beyond one posting, the others stay held.
        post t2 x->a USD 1000
        hold h4 a->b USD 100, a->x USD 100
        capture k6 h4 0:150 over                => captured
        see h4 held 0+100
        capture k7 h4 0:1 over                  => captured
        balance a USD settled=749 reserved=100
        ",
    );
}

#[test]
fn a_frozen_account_pays_what_it_holds_and_no_more() {
    check(
        "
        post t1 x->a USD 1000
        hold h1 a->b USD 300
        hold h2 a->b USD 100
        update a status=frozen                  => done
        hold h3 a->b USD 1                      => account_frozen a posting 0
        post t2 a->b USD 1                      => account_frozen a posting 0
        post t3 x->a USD 1                      => posted
        hold h4 x->a USD 1                      => held
        capture k1 h1 301 over                  => account_frozen a posting 0
        capture k2 h1 301 over force            => account_frozen a posting 0
        capture k3 h1 200                       => captured
        capture k4 h1                           => captured
        release r1 h2                           => released
        balance a USD settled=701 reserved=0
        update a status=active
        post t4 a->b USD 1                      => posted
        ",
    );
}

#[test]
fn releases_in_parts() {
    check(
        "
        post t1 x->a USD 1000
        hold h1 a->b USD 300, a->x USD 100
        release r1 h1 100                       => released
        see h1 held 200+100
        balance a USD settled=1000 reserved=300
        release r2 h1 0:200,1:101               => capture_exceeds_hold posting 1
        release r3 h1 2:1                       => capture_exceeds_hold posting 2
        release r4 h1 0:150,0:51                => capture_exceeds_hold posting 0
        release r5 h1 0:0                       => amount_zero posting 0
        release r6 h1                           => released
        see h1 released 0+0
        balance a USD settled=1000 reserved=0
        balance b USD settled=0 incoming=0
        # With something captured, what remains is a captured hold.
        hold h2 a->b USD 300
        capture k1 h2 1
        release r7 h2
        see h2 captured 0
        ",
    );
}

#[test]
fn holds_that_are_none() {
    check(
        "
        post t1 x->a USD 1000
        hold h1 a->b USD 10
        capture k1 h1 5
        capture k2 t1                           => hold_not_found
        capture k3 k1                           => hold_not_found
        capture k4 nowhere                      => hold_not_found
        release r1 t1                           => hold_not_found
        release r2 h1                           => released
        release r3 r2                           => hold_not_found
        ",
    );
}

#[test]
fn a_refused_hold_is_none() {
    check(
        "
        hold h1 a->b USD 10                     => insufficient_funds a posting 0
        capture k1 h1                           => hold_not_found
        post t1 x->a USD 10
        # Its id was not taken, so another key may use it.
        hold h1 a->b USD 10 key=again           => held
        capture k2 h1                           => captured
        ",
    );
}

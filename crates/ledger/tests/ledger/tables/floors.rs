//! How far down an account may go, and up.

use crate::script::check;

#[test]
fn a_credit_limit_is_spendable() {
    check(
        "
        account c main owner=root limit=USD,credit=500
        balance c USD available=0 spendable=500
        post t1 c->a USD 501                    => insufficient_funds c posting 0
        post t2 c->a USD 500                    => posted
        balance c USD settled=-500 spendable=0
        post t3 c->a USD 1                      => insufficient_funds c posting 0
        post t4 c->a EUR 1                      => insufficient_funds c posting 0
        hold h1 c->a USD 1                      => insufficient_funds c posting 0
        ",
    );
}

#[test]
fn a_receivable_goes_below_zero() {
    check(
        "
        account r receivable owner=root
        account i internal owner=root
        post t1 r->i USD 4200                   => posted
        balance r USD settled=-4200 spendable=unlimited
        post t2 x->r USD 4200                   => posted
        balance r USD settled=0
        post t3 i->a USD 4201                   => insufficient_funds i posting 0
        ",
    );
}

#[test]
fn internal_accounts_go_down_as_configured() {
    check(
        "
        account i internal owner=root limit=USD,credit=unlimited limit=EUR,credit=5
        post t1 i->a USD max                    => posted
        balance i USD spendable=unlimited
        post t2 i->a EUR 6                      => insufficient_funds i posting 0
        post t3 i->a EUR 5                      => posted
        post t4 i->a JPY 1                      => insufficient_funds i posting 0
        # Unlimited credit is for internal accounts alone.
        account w wallet owner=root limit=USD,credit=unlimited
        balance w USD spendable=0
        post t5 w->a USD 1                      => insufficient_funds w posting 0
        ",
    );
}

#[test]
fn force_goes_below_and_then_only_what_raises_passes() {
    check(
        "
        post t1 x->a USD 100
        post t2 a->b USD 150                    => insufficient_funds a posting 0
        post t3 a->b USD 150 force              => posted overdrawn
        balance a USD settled=-50 spendable=-50
        post t4 a->b USD 1                      => insufficient_funds a posting 0
        hold h1 a->b USD 1                      => insufficient_funds a posting 0
        hold h2 a->b USD 1 force                => held overdrawn
        release r1 h2                           => released overdrawn
        post t5 x->a USD 20                     => posted
        balance a USD settled=-30
        post t6 x->a USD 30, a->b USD 1         => insufficient_funds a posting 1
        post t7 x->a USD 31, a->b USD 1         => posted
        balance a USD settled=0
        # Force with money there is no overdraft.
        post t8 b->a USD 1 force                => posted
        ",
    );
}

#[test]
fn force_takes_no_other_hurdle() {
    check(
        "
        account m main owner=root limit=USD,max=10
        post t1 x->m USD 11 force               => balance_limit m posting 0
        post t2 x->a USD 0 force                => amount_zero posting 0
        update a status=frozen
        post t3 a->b USD 1 force                => account_frozen a posting 0
        post t4 x->b USD max
        post t5 x->m USD 1 force                => overflow x posting 0
        ",
    );
}

#[test]
fn a_lowered_limit_leaves_the_account_below_it() {
    check(
        "
        account c main owner=root limit=USD,credit=500
        post t1 c->a USD 400                    => posted
        update c limit=USD,credit=100           => done
        balance c USD settled=-400 spendable=-300
        post t2 c->a USD 1                      => insufficient_funds c posting 0
        post t3 a->c USD 50                     => posted
        balance c USD spendable=-250
        # No limit given is none.
        update c limit=USD                      => done
        balance c USD spendable=-350
        update c limit=EUR,credit=7             => done
        balance c USD spendable=-350
        balance c EUR spendable=7
        update c limit=USD,credit=1000          => done
        post t4 c->a USD 650                    => posted
        balance c USD spendable=0
        ",
    );
}

#[test]
fn a_lowered_limit_lets_holds_go_on() {
    check(
        "
        account c main owner=root limit=USD,credit=500
        hold h1 c->a USD 300                    => held
        update c limit=USD,credit=0
        balance c USD available=-300 spendable=-300
        capture k1 h1 100                       => captured overdrawn
        capture k2 h1 201 over                  => insufficient_funds c posting 0
        capture k3 h1                           => captured overdrawn
        balance c USD settled=-300 reserved=0
        ",
    );
}

#[test]
fn a_maximum_counts_what_is_coming_in() {
    check(
        "
        account m main owner=root limit=USD,max=1000
        post t1 x->m USD 600                    => posted
        hold h1 x->m USD 300                    => held
        post t2 x->m USD 101                    => balance_limit m posting 0
        hold h2 x->m USD 101                    => balance_limit m posting 0
        post t3 x->m USD 100                    => posted
        balance m USD settled=700 incoming=300
        # The capture brings in what was counted already; more than that is more.
        capture k1 h1 301 over                  => balance_limit m posting 0
        capture k2 h1 300                       => captured
        balance m USD settled=1000 incoming=0
        post t4 x->m EUR 5000                   => posted
        # What goes out makes room.
        post t5 m->a USD 1, x->m USD 1          => posted
        ",
    );
}

#[test]
fn a_lowered_maximum_bars_only_what_raises() {
    check(
        "
        account m main owner=root limit=USD,max=1000
        post t1 x->m USD 600
        hold h1 x->m USD 300
        update m limit=USD,max=100              => done
        post t2 x->m USD 1                      => balance_limit m posting 0
        capture k1 h1                           => captured
        post t3 m->a USD 500                    => posted
        balance m USD settled=400
        post t4 a->m USD 1                      => balance_limit m posting 0
        ",
    );
}

//! The ends of the range.

use crate::script::check;

#[test]
fn the_smallest_and_the_largest_amount() {
    check(
        "
        post t1 x->a USD 1                      => posted
        post t2 x->b USD max-1                  => posted
        balance x USD settled=-max
        balance b USD settled=max-1
        # The next unit is one too much for what has ever left x, and stays so when money comes back.
        post t3 x->a USD 1                      => overflow x posting 0
        post t4 a->x USD 1                      => posted
        post t5 x->a USD 1                      => overflow x posting 0
        post t6 b->a USD max-1                  => posted
        balance a USD settled=max-1
        ",
    );
}

#[test]
fn one_amount_of_the_whole_range_goes_around() {
    check(
        "
        post t1 x->a USD max                    => posted
        post t2 a->b USD max                    => posted
        balance b USD settled=max available=max spendable=max
        post t3 b->x USD max                    => posted
        post t4 x->b USD 1                      => overflow x posting 0
        balance x USD settled=0
        account y external owner=root
        # The first account that overflows is named, the debited one first.
        post t5 y->x USD 1                      => overflow x posting 0
        post t6 x->y USD 1                      => overflow x posting 0
        ",
    );
}

#[test]
fn sums_beyond_the_range_overflow() {
    check(
        "
        account y external owner=root
        post t1 x->a USD 2^126                  => posted
        post t2 y->a USD 2^126                  => overflow a posting 0
        # What is credited may be in range while what it makes is not.
        post t3 x->a USD 2^126                  => overflow x posting 0
        post t4 y->b USD 2^126, y->a USD 2^125  => posted
        balance y USD settled=-127605887595351923798765477786913079296
        # Held money counts, down to the lowest number there is.
        hold h1 y->b USD 2^125                  => held
        hold h2 y->b USD 1                      => overflow y posting 0
        post t5 y->b USD 1                      => overflow y posting 0
        ",
    );
}

#[test]
fn pending_sums_overflow_too() {
    check(
        "
        account y external owner=root
        hold h1 x->a USD max                    => held
        hold h2 x->a USD 1                      => overflow x posting 0
        hold h3 y->a USD 1                      => overflow a posting 0
        # Available would be below any number.
        post t1 x->b USD 1                      => posted
        post t2 x->b USD 1                      => overflow x posting 0
        release r1 h1
        post t3 x->b USD 1                      => posted
        ",
    );
}

#[test]
fn the_largest_credit_limit() {
    check(
        "
        update a limit=USD,credit=max           => done
        balance a USD spendable=max
        # More than nothing on top of that would be spendable beyond any number.
        post t1 x->a USD 1                      => overflow a posting 0
        post t2 a->b USD max                    => posted
        balance a USD settled=-max spendable=0
        post t3 a->x USD 1                      => insufficient_funds a posting 0
        post t4 a->x USD max                    => insufficient_funds a posting 0
        post t5 x->a USD 5                      => posted
        post t6 b->x USD 10                     => posted
        update b limit=USD,credit=max           => overflow b
        update b limit=USD,credit=9             => done
        update b limit=USD,credit=10            => done
        update b limit=USD,credit=11            => overflow b
        ",
    );
}

#[test]
fn letting_go_never_overflows() {
    check(
        "
        post t1 x->a USD max                    => posted
        hold h1 a->b USD max expires=5s         => held
        # Nothing is available now, but with this limit the end of the hold would take spendable out of range.
        update a limit=USD,credit=1             => overflow a
        release r1 h1 1                         => released
        advance 6s
        expire h1                               => expired
        balance a USD available=max
        ",
    );
}

#[test]
fn the_largest_maximum_balance() {
    check(
        "
        update a limit=USD,max=max              => done
        post t1 x->a USD max                    => posted
        account y external owner=root
        post t2 y->a USD 1                      => balance_limit a posting 0
        hold h1 y->a USD max                    => balance_limit a posting 0
        hold h2 y->b USD max                    => held
        update b limit=USD,max=max
        post t3 a->b USD 1                      => balance_limit b posting 0
        ",
    );
}

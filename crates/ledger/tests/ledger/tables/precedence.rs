//! With several faults at once, the code that stands earlier is given.

use crate::script::check;

#[test]
fn of_a_posting() {
    check(
        "
        account usd main owner=root currency=USD
        account usd2 main owner=root currency=USD
        account usd3 main owner=root currency=USD limit=USD,max=10
        account empty main owner=root
        update usd2 status=closed
        account y external owner=root
        post t0 y->x JPY max
        post t0 y->x JPY max key=taken                  => id_taken
        # Each line has all the faults of the next, and one that goes before them.
        post t0 nowhere->usd XYZ 0 key=k1               => id_taken
        post t1 nowhere->nowhere XYZ 0                  => account_not_found nowhere posting 0
        post t2 a->nowhere XYZ 0                        => account_not_found nowhere posting 0
        post t3 usd2->usd2 XYZ 0                        => asset_not_found posting 0
        post t4 usd2->usd2 EUR 0                        => amount_zero posting 0
        post t5 usd2->usd2 EUR 1                        => same_account usd2 posting 0
        post t6 usd2->usd EUR 1                         => currency_mismatch usd2 posting 0
        post t7 usd->usd2 EUR 1                         => currency_mismatch usd posting 0
        post t8 x->usd2 EUR 1                           => currency_mismatch usd2 posting 0
        update usd status=frozen
        post t9 usd->usd2 USD 1                         => account_closed usd2 posting 0
        post t10 usd->usd3 USD 11                       => account_frozen usd posting 0
        post t11 empty->usd3 USD max                    => insufficient_funds empty posting 0
        post t12 x->usd3 USD max                        => balance_limit usd3 posting 0
        post t13 y->a JPY 1                             => overflow y posting 0
        post t14 x->a JPY max, x->a JPY 1               => overflow x posting 1
        ",
    );
}

#[test]
fn of_several_postings() {
    check(
        "
        # The first posting that fails, not the code that stands first.
        post t1 x->a USD 1, a->b USD 2, nowhere->a USD 1    => insufficient_funds a posting 1
        post t2 x->a USD 1, nowhere->a USD 1, a->b USD 2    => account_not_found nowhere posting 1
        post t3 x->a USD 1, x->b USD 0, x->x USD 1          => amount_zero posting 1
        batch n1 post t4 x->a USD 1, x->x USD 1 | post t5 nowhere->a USD 1  => same_account x posting 1 item 0
        ",
    );
}

#[test]
fn of_a_capture() {
    check(
        "
        post t1 x->a USD 100
        hold h1 a->b USD 10 expires=5s
        hold h2 a->b USD 10
        capture k0 h2 1
        capture k0 nowhere 0 key=k              => id_taken
        capture k1 nowhere 0                    => amount_zero posting 0
        capture k2 nowhere 1                    => hold_not_found
        advance 5s
        capture k3 h1 11                        => hold_expired
        release r1 h1
        capture k4 h1 11                        => hold_resolved
        capture k5 h2 1000                      => capture_exceeds_hold posting 0
        capture k6 h2 1000 over                 => insufficient_funds a posting 0
        update b limit=USD,max=1
        capture k7 h2 1000 over                 => insufficient_funds a posting 0
        capture k8 h2 11 over                   => balance_limit b posting 0
        capture k9 h2 9                         => captured
        ",
    );
}

#[test]
fn of_a_capture_of_several_postings() {
    check(
        "
        post t1 x->a USD 100
        hold h1 a->b USD 10, a->b USD 10
        # The first that fails, in the order in which they are named.
        capture k1 h1 0:1000,1:0 over           => amount_zero posting 1
        capture k2 h1 0:1000,2:1 over           => insufficient_funds a posting 0
        capture k3 h1 2:1,0:1000 over           => capture_exceeds_hold posting 2
        ",
    );
}

#[test]
fn of_a_reversal() {
    check(
        "
        account m main owner=root limit=USD,max=100
        post t1 x->a USD 100
        post t2 a->b USD 100
        post t3 m->b USD 100 force
        reverse t1 nowhere 0 key=k              => id_taken
        reverse v1 nowhere 0                    => transaction_not_found
        reverse v2 t1 0                         => amount_zero posting 0
        update a status=frozen
        reverse v3 t1 101                       => account_frozen a posting 0
        update a status=active
        reverse v4 t1 101                       => reversal_exceeds posting 0
        reverse v5 t1                           => insufficient_funds a posting 0
        post t4 x->m USD 150
        post t5 b->x USD 150
        reverse v6 t3                           => insufficient_funds b posting 0
        reverse v7 t3 50                        => reversed
        reverse v8 t3 50 force                  => balance_limit m posting 0
        ",
    );
}

#[test]
fn of_a_reversal_of_several_postings() {
    check(
        "
        post t1 x->a USD 100, x->b USD 100
        post t2 a->x USD 100
        reverse v1 t1 0:1,1:101                 => insufficient_funds a posting 0
        reverse v2 t1 1:101,0:1                 => reversal_exceeds posting 1
        # A whole one goes backwards.
        post t3 b->x USD 100
        reverse v3 t1                           => insufficient_funds b posting 1
        ",
    );
}

#[test]
fn of_the_register() {
    check(
        "
        account c card owner=nobody limit=XYZ,credit=1              => customer_not_found
        account d card owner=root limit=XYZ,credit=1                => currency_required
        account e card owner=root currency=USD limit=XYZ,credit=1   => asset_not_found
        account f card owner=root currency=USD limit=EUR,credit=1   => currency_mismatch
        account g main owner=root currency=USD
        post t1 x->g USD 1
        update nowhere status=closed limit=XYZ                      => account_not_found nowhere
        update g status=closed limit=XYZ,credit=1                   => account_not_empty g
        update g status=frozen limit=XYZ,credit=1                   => asset_not_found
        update g limit=EUR,credit=1 limit=USD,credit=max            => currency_mismatch g
        update g limit=USD,credit=max                               => overflow g
        update g status=closed limit=USD,credit=max                 => account_not_empty g
        post t2 g->x USD 1
        update g status=closed
        update g status=active limit=XYZ,credit=1                   => asset_not_found
        update g status=active limit=EUR,credit=1                   => currency_mismatch g
        update g status=active limit=USD,credit=max                 => account_closed g
        client sub parent=root
        ",
    );
}

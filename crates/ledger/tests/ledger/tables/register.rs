//! Clients, customers, accounts, keys, assets and rates.

use crate::script::check;

#[test]
fn root_clients_make_books() {
    check(
        "
        @operator client second                 => book 2
        @operator client third                  => book 3
        @operator client second                 => replay: book 2
        @second client sub parent=second        => done
        @operator rename-client second Second   => client_not_found
        @second rename-client second Second     => done
        @operator api-key k                     => done
        @operator revoke k                      => done
        @operator revoke nothing                => key_not_found
        revoke k                                => key_not_found
        ",
    );
}

#[test]
fn a_key_is_rotated_and_the_old_one_goes_on_for_a_while() {
    check(
        "
        client sub parent=root
        client sib parent=root
        api-key k of=sub                        => done
        @sib rotate k l                         => key_not_found
        rotate nothing l2                       => key_not_found
        @sub rotate k n overlap=60s expires=90s => done
        @sub rotate k n overlap=60s expires=90s => replay: done
        key k live of=sub
        key n live of=sub
        # An id that is taken, even by itself.
        rotate k k key=again                    => id_taken
        advance 60s
        # It was recorded some microseconds after its stamp.
        key k live
        advance 1s
        key k ended
        # What has ended is not brought back, and revoking it changes nothing.
        rotate k m                              => key_not_found
        revoke k                                => done
        advance 28s
        key n live
        rotate n o overlap=60s                  => done
        # It ends as it would have, not when the overlap is over.
        advance 1s
        key n ended
        key o live of=sub
        ",
    );
}

#[test]
fn a_key_is_rotated_without_an_overlap_or_twice() {
    check(
        "
        @operator api-key k expires=600s        => done
        @operator rotate k l overlap=60s        => done
        # The secret of `l` was lost, so again: the first end stays where it comes before.
        @operator rotate k m overlap=300s       => done
        advance 60s
        key k live
        advance 1s
        key k ended
        @operator rotate m n                    => done
        key m ended revoked
        key n live
        @operator rotate m o                    => key_not_found
        @operator revoke n                      => done
        @operator rotate n q                    => key_not_found
        key l live
        # Another book has other keys.
        rotate l p                              => key_not_found
        ",
    );
}

#[test]
fn customer_numbers() {
    check(
        "
        customer c1 of=root                     => number 1
        customer c2 of=root number=7            => number 7
        customer c3 of=root number=7            => number_taken
        customer c4 of=root                     => number 8
        customer c5 of=root number=2            => number 2
        customer c6 of=root                     => number 9
        customer c7 of=root number=9223372036854775807 => number 9223372036854775807
        customer c8 of=root                     => number_taken
        customer c9 of=root number=3            => number 3
        customer c10 of=nobody                  => client_not_found
        # A number is the book's, whatever the client.
        client sub parent=root
        customer c11 of=sub number=7            => number_taken
        @operator client other
        @other customer c12 of=other            => number 1
        rename-customer nobody Nobody           => customer_not_found
        dunning nobody level-1                  => customer_not_found
        ",
    );
}

#[test]
fn who_was_erased_keeps_money_and_gets_no_text() {
    check(
        "
        customer p of=root                      => number 1
        account w main owner=p                  => primary
        client sub parent=root
        client sib parent=root
        customer q of=sub
        @sib erase q                            => customer_not_found
        erase nobody                            => customer_not_found
        erase p                                 => done
        erase p                                 => done
        rename-customer p Paula                 => customer_erased
        dunning p level-1                       => customer_erased
        dunning p                               => done
        update w label=purse                    => customer_erased w
        update w status=frozen                  => done
        update w status=active                  => done
        # What is not there or not allowed at all goes before.
        @sib rename-customer p Paula            => customer_not_found
        @sib update w label=purse               => account_not_found w
        account v1 card owner=p                 => currency_required
        account v2 main owner=p                 => customer_erased
        rename-customer q Quentin               => done
        ",
    );
}

#[test]
fn the_first_account_of_a_purpose_is_primary_until_another_takes_over() {
    check(
        "
        primary a yes
        primary b no
        account c main owner=root               => done
        account d main owner=root primary       => primary
        primary d yes
        primary a no
        update b primary                        => done
        primary b yes
        primary d no
        update b primary                        => done
        primary b yes
        account w wallet owner=root             => primary
        primary b yes
        customer cu of=root
        account cm main owner=cu                => primary
        primary b yes
        ",
    );
}

#[test]
fn a_closed_account_may_be_primary_still() {
    check(
        "
        update b primary status=closed          => done
        primary b yes
        primary a no
        update a primary
        primary b no
        ",
    );
}

#[test]
fn owners() {
    check(
        "
        account c main owner=nobody             => customer_not_found
        @operator client other
        account d main owner=other              => client_not_found
        ",
    );
}

#[test]
fn a_card_account_has_a_currency() {
    check(
        "
        account c card owner=root               => currency_required
        account d card owner=root currency=USD  => primary
        account e card owner=root currency=XYZ  => asset_not_found
        account f main owner=root currency=USD limit=EUR,credit=5  => currency_mismatch
        account g main owner=root limit=XYZ,credit=5               => asset_not_found
        post t1 x->d EUR 1                      => currency_mismatch d posting 0
        post t2 d->x EUR 1                      => currency_mismatch d posting 0
        post t3 x->d USD 1                      => posted
        update d limit=EUR,credit=5             => currency_mismatch d
        update d limit=USD,credit=5             => done
        update d limit=XYZ,credit=5             => asset_not_found
        ",
    );
}

#[test]
fn only_an_empty_account_is_closed_and_for_ever() {
    check(
        "
        post t1 x->a USD 10
        update a status=closed                  => account_not_empty a
        post t2 a->b USD 10
        hold h1 x->a USD 5
        update a status=closed                  => account_not_empty a
        release r1 h1
        hold h2 b->x USD 10
        update b status=closed                  => account_not_empty b
        update a status=closed                  => done
        post t3 x->a USD 1                      => account_closed a posting 0
        post t4 a->x USD 1                      => account_closed a posting 0
        hold h3 x->a USD 1                      => account_closed a posting 0
        update a status=active                  => account_closed a
        update a status=frozen                  => account_closed a
        update a status=closed                  => done
        update a label=gone                     => done
        update nowhere label=here               => account_not_found nowhere
        # A frozen one can be closed.
        account f main owner=root
        update f status=frozen
        update f status=closed                  => done
        ",
    );
}

#[test]
fn an_account_empty_in_one_asset_alone_is_not_empty() {
    check(
        "
        post t1 x->a USD 10, x->a EUR 10, a->x USD 10
        update a status=closed                  => account_not_empty a
        post t2 a->x EUR 10
        update a status=closed                  => done
        # Nor is an overdrawn one.
        post t3 b->x USD 1 force
        update b status=closed                  => account_not_empty b
        ",
    );
}

#[test]
fn assets() {
    check(
        "
        asset USD 2                             => asset_exists
        asset MILES 0                           => done
        asset MILES 2                           => asset_exists
        asset USDC@near 6                       => done
        post t1 x->a MILES 10                   => posted
        post t2 x->a POINTS 10                  => asset_not_found posting 0
        @operator asset POINTS 0                => done
        post t3 x->a POINTS 10                  => posted
        asset POINTS 2                          => asset_exists
        # A book's own asset is its own.
        @operator client other
        @other account ox external owner=other
        @other account o main owner=other
        @other post t4 ox->o MILES 10           => asset_not_found posting 0
        @other post t5 ox->o POINTS 10          => posted
        @other asset MILES 3                    => done
        # The operator may register it for all; the books that have it keep their own.
        @operator asset MILES 4                 => done
        post t6 x->a MILES 5                    => posted
        balance a MILES settled=15
        ",
    );
}

#[test]
fn rates() {
    check(
        "
        rate EUR USD 10832 4                    => done
        rate USDC USD 1 0                       => done
        rate USDC@base USD 1 18                 => done
        rate EUR USD 1 19                       => rate_invalid posting 0
        rate EUR USD 0 0                        => rate_invalid posting 0
        rate EUR EUR 1 0                        => rate_invalid posting 0
        rate EUR XYZ 1 0                        => rate_invalid posting 0
        rate XYZ EUR 1 0                        => rate_invalid posting 0
        rate EUR USD 999999999999999999999999999999999999 0    => done
        rate EUR USD 1000000000000000000000000000000000000 0   => rate_invalid posting 0
        @operator rate EUR USD 2 0              => done
        ",
    );
}

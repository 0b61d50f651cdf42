//! Who sees what: a client itself and its subsidiaries; all else does not exist.

use crate::script::check;

const TWO_SUBSIDIARIES: &str = "
    client sub parent=root
    client sib parent=root
    account s main owner=sub
    account sx external owner=sub
    account t main owner=sib
    customer c of=sub
    account cw wallet owner=c
    @operator client other
    @other account o main owner=other
    @other account ox external owner=other
";

fn check_with_subsidiaries(table: &str) {
    check(&format!("{TWO_SUBSIDIARIES}{table}"));
}

#[test]
fn accounts() {
    check_with_subsidiaries(
        "
        post t1 x->s USD 10, x->t USD 10, s->cw USD 1   => posted
        @sub post t2 sx->s USD 1, s->cw USD 1   => posted
        @sub post t3 s->t USD 1                 => account_not_found t posting 0
        @sub post t4 a->s USD 1                 => account_not_found a posting 0
        @sub post t5 s->o USD 1                 => account_not_found o posting 0
        @other post t6 ox->o USD 1              => posted
        @other post t7 o->a USD 1               => account_not_found a posting 0
        post t8 a->o USD 1                      => account_not_found o posting 0
        @sub update t label=mine                => account_not_found t
        @sub update s label=mine                => done
        update t label=ours                     => done
        ",
    );
}

#[test]
fn holds() {
    check_with_subsidiaries(
        "
        post t1 x->s USD 100
        hold h1 s->a USD 10                     => held
        # Both sides must be seen.
        @sub capture k1 h1                      => hold_not_found
        @sub release r1 h1                      => hold_not_found
        @sub hold h2 s->cw USD 10               => held
        @sib capture k2 h2                      => hold_not_found
        @other capture k3 h2                    => hold_not_found
        @sub capture k4 h2 4                    => captured
        capture k5 h2                           => captured
        @sib capture k6 h2                      => hold_not_found
        ",
    );
}

#[test]
fn transactions() {
    check_with_subsidiaries(
        "
        post t1 x->s USD 100
        @sub post t2 s->cw USD 10
        @sub reverse v1 t1                      => transaction_not_found
        @sib reverse v2 t2                      => transaction_not_found
        @other reverse v3 t2                    => transaction_not_found
        @sub reverse v4 t2 4                    => reversed
        reverse v5 t2                           => reversed
        # What was only held is not seen either.
        @sub hold h1 s->cw USD 10
        @sub reverse v6 h1                      => not_posted
        @sib reverse v7 h1                      => transaction_not_found
        @sub release r1 h1
        @sib reverse v8 r1                      => transaction_not_found
        @sub reverse v9 r1                      => not_posted
        ",
    );
}

#[test]
fn the_register() {
    check_with_subsidiaries(
        "
        @sub rename-client sub Sub              => done
        @sub rename-client sib Sib              => client_not_found
        @sub rename-client root Root            => client_not_found
        rename-client sub Sub                   => done
        rename-client other Other               => client_not_found
        @sub rename-customer c Carla            => done
        @sib rename-customer c Carla            => customer_not_found
        @sib dunning c level-1                  => customer_not_found
        rename-customer c Karla                 => done
        dunning c level-1                       => done
        @sib customer d of=sub                  => client_not_found
        @sib account cc main owner=c            => customer_not_found
        @sib account ss main owner=sub          => client_not_found
        @sub api-key p of=sub                   => done
        @sib revoke p                           => key_not_found
        @sib api-key q of=sub                   => client_not_found
        @sub revoke p                           => done
        @sub revoke p                           => done
        api-key q of=sub                        => done
        revoke q                                => done
        ",
    );
}

#[test]
fn parents() {
    check_with_subsidiaries(
        "
        client grandchild parent=sub            => parent_not_root
        @sub client grandchild2 parent=sub      => parent_not_root
        @sub client second parent=root          => client_not_found
        @other client third parent=root         => client_not_found
        client fourth parent=nobody             => client_not_found
        @other client fifth parent=other        => done
        ",
    );
}

//! What happens when the same is sent again, or something else under the same name.

use crate::script::check;

#[test]
fn the_same_again_is_answered_as_before() {
    check(
        "
        post t1 x->a USD 100                    => posted
        post t1 x->a USD 100                    => replay: posted
        balance a USD settled=100
        post t2 x->a USD 5 key=k                => posted
        post t2 x->a USD 5 key=k                => replay: posted
        balance a USD settled=105
        hold h1 a->b USD 5                      => held
        hold h1 a->b USD 5                      => replay: held
        capture k1 h1 5                         => captured
        capture k1 h1 5                         => replay: captured
        reverse v1 k1                           => reversed
        reverse v1 k1                           => replay: reversed
        batch n1 post t3 x->a USD 1             => posted
        batch n1 post t3 x->a USD 1             => replay: posted
        customer c of=root                      => number 1
        customer c of=root                      => replay: number 1
        balance a USD settled=106 reserved=0
        ",
    );
}

#[test]
fn a_refusal_is_answered_again_when_its_cause_is_gone() {
    check(
        "
        post t1 a->b USD 100                    => insufficient_funds a posting 0
        post t2 x->a USD 100
        post t1 a->b USD 100                    => replay: insufficient_funds a posting 0
        post t3 a->b USD 100                    => posted
        # Nor does what came later change an acceptance.
        update a status=frozen
        post t3 a->b USD 100                    => replay: posted
        ",
    );
}

#[test]
fn another_request_under_a_key_is_a_conflict_and_not_recorded() {
    check(
        "
        post t1 x->a USD 100                    => posted
        post t1 x->a USD 101                    => conflict with 4
        hold t1 x->a USD 100                    => conflict with 4
        post t2 x->a USD 1 key=k                => posted
        post t3 x->a USD 1 key=k                => conflict with 5
        reverse v1 t1 key=k                     => conflict with 5
        position 5
        # The id of what conflicted is free.
        post t3 x->a USD 1                      => posted
        # A conflict is found before any other fault.
        post t1 nowhere->a USD 0                => conflict with 4
        # A refusal holds its key, too.
        post t4 a->b USD max                    => insufficient_funds a posting 0
        post t4 a->b USD 1                      => conflict with 7
        ",
    );
}

#[test]
fn an_id_under_another_key_is_taken() {
    check(
        "
        post t1 x->a USD 100                    => posted
        post t1 x->a USD 100 key=k              => id_taken
        position 5
        post t1 x->a USD 100 key=k              => replay: id_taken
        post t1 x->a USD 1 key=k                => conflict with 5
        hold h1 a->b USD 5
        capture h1 h1 key=k2                    => id_taken
        release t1 h1 key=k3                    => id_taken
        reverse h1 t1 key=k4                    => id_taken
        # A batch names its item; an id twice in it is taken by the first.
        batch n1 post t2 x->a USD 1 | post t1 x->a USD 1   => id_taken item 1
        batch n2 post t2 x->a USD 1 | post t2 x->a USD 1   => id_taken item 1
        post t2 x->a USD 1                      => posted
        balance a USD settled=101
        ",
    );
}

#[test]
fn the_id_of_a_batched_transaction_is_taken() {
    check(
        "
        batch n1 post t1 x->a USD 1 | post t2 x->a USD 1   => posted
        post t2 x->a USD 1                      => id_taken
        batch n2 post t1 x->a USD 1             => id_taken item 0
        # A refused batch takes no ids.
        batch n3 post t3 x->a USD 1 | post t4 b->a USD 1   => insufficient_funds b posting 0 item 1
        post t3 x->a USD 1                      => posted
        ",
    );
}

#[test]
fn each_client_has_keys_of_its_own_but_ids_are_the_books() {
    check(
        "
        client sub parent=root
        account s main owner=sub
        account sx external owner=sub
        post t1 x->a USD 1 key=k                => posted
        @sub post t2 sx->s USD 1 key=k          => posted
        @sub post t1 sx->s USD 1                => id_taken
        @sub post t1 sx->s USD 1                => replay: id_taken
        @operator client other                  => book 2
        @other account ox external owner=other
        @other account o main owner=other
        @other post t1 ox->o USD 1              => posted
        ",
    );
}

#[test]
fn things_of_the_register_have_ids_too() {
    check(
        "
        account c main owner=root               => done
        account c main owner=root               => replay: done
        account c wallet owner=root key=k       => id_taken
        customer d of=root                      => number 1
        customer d of=root key=k2               => id_taken
        client sub parent=root                  => done
        client sub parent=root key=k3           => id_taken
        api-key p of=sub                        => done
        api-key p of=sub key=k4                 => id_taken
        ",
    );
}

//! Batches that are atomic: all or none.

use crate::script::check;

#[test]
fn a_batch_is_one_command() {
    check(
        "
        position 3
        batch n1 post t1 x->a USD 10 | post t2 a->b USD 4 | hold h1 b->a USD 3  => posted
        position 4
        balance a USD settled=6 incoming=3
        balance b USD settled=4 reserved=3
        capture k1 h1                           => captured
        ",
    );
}

#[test]
fn the_culprit_is_named_and_none_is_applied() {
    check(
        "
        batch n1 post t1 x->a USD 10 | post t2 a->b USD 4, a->b USD 7 | post t3 nowhere->b USD 1  => insufficient_funds a posting 1 item 1
        balance a USD settled=0
        balance x USD settled=0
        # The same transactions under another key, after all.
        batch n2 post t1 x->a USD 11 | post t2 a->b USD 4, a->b USD 7   => posted
        ",
    );
}

#[test]
fn force_is_each_items_own() {
    check(
        "
        batch n1 post t1 a->b USD 10 force | post t2 a->b USD 1   => insufficient_funds a posting 0 item 1
        batch n2 post t1 a->b USD 10 force | post t2 b->a USD 1   => posted overdrawn
        balance a USD settled=-9
        ",
    );
}

#[test]
fn a_batch_of_many() {
    let many: Vec<_> = (0..200)
        .map(|n| format!("post t{n} x->a USD 1, a->b EUR 1 force"))
        .collect();
    check(&format!(
        "
        batch n1 {}                             => posted overdrawn
        balance a USD settled=200
        balance b EUR settled=200
        position 4
        ",
        many.join(" | ")
    ));
}

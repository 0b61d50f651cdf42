//! Memory that is asked for before it is needed. A row of a large table is seldom in the processor's caches; those of a few
//! commands, asked for at once, come in the time of one.

#[allow(unsafe_code, reason = "there is no safe function for it")]
/// Has a value brought into the caches, without waiting for it.
#[cfg(target_arch = "x86_64")]
pub(crate) fn prefetch<T: ?Sized>(value: &T) {
    use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};

    /// The bytes that come at once.
    const LINE: usize = 64;
    let start = std::ptr::from_ref(value).cast::<i8>();
    let before = start.addr() % LINE;
    for line in (0..before + size_of_val(value)).step_by(LINE) {
        // SAFETY: it is a hint: nothing is read or written that the program could see, and no address makes it fail.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(start.wrapping_sub(before).wrapping_add(line)) };
    }
}

/// Elsewhere a value comes when it is needed.
#[cfg(not(target_arch = "x86_64"))]
pub(crate) fn prefetch<T: ?Sized>(_: &T) {}

//! The Rust host's plugin: it allocates, and unwinds from a panic, in each round.
#[inline(never)]
fn hosted_kernel(mut value: u64) -> u64 {
    for i in 0..200_000u64 {
        value = (value ^ i).wrapping_mul(0x100000001b3);
    }
    value
}

#[no_mangle]
pub extern "C" fn rust_work(rounds: u64) -> u64 {
    std::panic::set_hook(Box::new(|_| {}));
    let mut sum = 0u64;
    for i in 0..rounds {
        let block = vec![i as u8; 4096];
        sum = sum.wrapping_add(hosted_kernel(i + block[7] as u64));
        if std::panic::catch_unwind(|| panic!("in round {i}")).is_ok() {
            return 0;
        }
    }
    sum
}

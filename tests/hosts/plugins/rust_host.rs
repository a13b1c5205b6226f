//! A Rust host that opens a cdylib and calls it.
use std::ffi::{c_char, c_int, c_void, CString};

extern "C" {
    fn dlopen(path: *const c_char, flags: c_int) -> *mut c_void;
    fn dlsym(library: *mut c_void, name: *const c_char) -> *mut c_void;
}

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let path = CString::new(arguments[1].as_str()).unwrap();
    let rounds: u64 = arguments[2].parse().unwrap();
    let name = CString::new("rust_work").unwrap();
    let work: extern "C" fn(u64) -> u64 = unsafe {
        let library = dlopen(path.as_ptr(), 2);
        assert!(!library.is_null());
        std::mem::transmute(dlsym(library, name.as_ptr()))
    };
    let threads: Vec<_> = (0..2).map(|_| std::thread::spawn(move || work(rounds / 2))).collect();
    let sum: u64 = threads.into_iter().fold(0, |sum, t| sum.wrapping_add(t.join().unwrap()));
    println!("sum {sum}");
}

//! Types its argument and Enter for whoever reads the terminal next, without a keyboard; says how many bytes were taken.

mod sys;

fn main() {
    let text = std::env::args().nth(1).unwrap_or_default();
    for high in [false, true] {
        let taken = text.bytes().chain([b'\n']).filter(|byte| sys::push(*byte, high).is_ok()).count();
        println!("taken:{taken}.");
    }
}

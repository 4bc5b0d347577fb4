//! The tests and examples of this crate find the library where ponder-sys found it.
fn main() {
    if let Ok(folder) = std::env::var("DEP_PONDER_LIBDIR") {
        println!("cargo:rustc-link-arg=-Wl,-rpath,{folder}");
    }
}

//! Where libponder is: PONDER_LIBRARY_DIR, else what pkg-config says, else where the linker looks by itself.
use std::env;
use std::process::Command;

fn main() {
    println!("cargo:rerun-if-env-changed=PONDER_LIBRARY_DIR");
    println!("cargo:rerun-if-env-changed=PKG_CONFIG_PATH");
    let folder = env::var("PONDER_LIBRARY_DIR").ok().or_else(|| {
        let output = Command::new("pkg-config").args(["--variable=libdir", "ponder"]).output().ok()?;
        let folder = String::from_utf8(output.stdout).ok()?.trim().to_string();
        (output.status.success() && !folder.is_empty()).then_some(folder)
    });
    if let Some(folder) = folder {
        println!("cargo:rustc-link-search=native={folder}");
        println!("cargo:libdir={folder}"); // DEP_PONDER_LIBDIR of crates that use this one, e.g. for an rpath
    }
}

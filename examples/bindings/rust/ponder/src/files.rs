//! The host's own files: models inside an application's archive.

use std::ffi::{c_void, CStr};
use std::io;
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::ptr;
use std::sync::Arc;

use ponder_sys as sys;


/// A path is a name in here, with '/' between parts.
pub trait FileSystem: Send + Sync {
    /// `io::ErrorKind::NotFound` when there is none of that name.
    fn open(&self, name: &str) -> io::Result<Box<dyn HostFile>>;
}

/// An open file, whose content does not change.
pub trait HostFile: Send + Sync {
    fn size(&self) -> u64;
    /// Fills out with the bytes from offset on, which lie in the file.
    fn read_at(&self, offset: u64, out: &mut [u8]) -> io::Result<()>;
    /// All bytes, at one place until the file is dropped; None: it is to be read.
    fn map(&self) -> Option<&[u8]> {
        None
    }
}

/// The struct for a call, and what its functions use: to be kept as long as the model.
pub(crate) struct RawFiles {
    pub raw: sys::ponder_file_system,
    _files: Box<Arc<dyn FileSystem>>,
}

// SAFETY: user_data points to _files, which is Send and Sync.
unsafe impl Send for RawFiles {}
unsafe impl Sync for RawFiles {}

impl RawFiles {
    pub fn new(files: Arc<dyn FileSystem>) -> RawFiles {
        let files = Box::new(files);
        let raw = sys::ponder_file_system {
            user_data: &*files as *const Arc<dyn FileSystem> as *mut c_void,
            open: Some(open),
            read: Some(read),
            close: Some(close),
            map: Some(map),
            ..Default::default()
        };
        RawFiles { raw, _files: files }
    }
}

fn status(result: std::thread::Result<io::Result<()>>) -> sys::ponder_status {
    match result {
        Ok(Ok(())) => sys::PONDER_OK,
        Ok(Err(error)) if error.kind() == io::ErrorKind::NotFound => sys::PONDER_E_NOT_FOUND,
        Ok(Err(_)) => sys::PONDER_E_IO,
        Err(_) => sys::PONDER_E_CALLBACK, // it panicked
    }
}

unsafe extern "C" fn open(
    user_data: *mut c_void,
    name: *const sys::c_char,
    out_file: *mut *mut c_void,
    out_size: *mut u64,
) -> sys::ponder_status {
    status(catch_unwind(AssertUnwindSafe(|| {
        let files = &*(user_data as *const Arc<dyn FileSystem>);
        let file = files.open(&CStr::from_ptr(name as *const _).to_string_lossy())?;
        *out_size = file.size();
        *out_file = Box::into_raw(Box::new(file)) as *mut c_void;
        Ok(())
    })))
}

unsafe extern "C" fn read(
    _: *mut c_void,
    file: *mut c_void,
    offset: u64,
    out_bytes: *mut c_void,
    size: usize,
) -> sys::ponder_status {
    status(catch_unwind(AssertUnwindSafe(|| {
        // The library's memory may not be initialised, which a &mut [u8] has to be.
        ptr::write_bytes(out_bytes as *mut u8, 0, size);
        let out = std::slice::from_raw_parts_mut(out_bytes as *mut u8, size);
        (*(file as *const Box<dyn HostFile>)).read_at(offset, out)
    })))
}

unsafe extern "C" fn close(_: *mut c_void, file: *mut c_void) {
    let _ = catch_unwind(AssertUnwindSafe(|| drop(Box::from_raw(file as *mut Box<dyn HostFile>))));
}

unsafe extern "C" fn map(_: *mut c_void, file: *mut c_void) -> *const c_void {
    let file = &*(file as *const Box<dyn HostFile>);
    match catch_unwind(AssertUnwindSafe(|| file.map())) {
        Ok(Some(bytes)) if bytes.len() as u64 == file.size() => bytes.as_ptr() as *const c_void,
        _ => ptr::null(),
    }
}

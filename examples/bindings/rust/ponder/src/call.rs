//! What every call needs: errors, buffers, lists, strings, and closures that may panic.

use std::any::Any;
use std::ffi::{c_void, CStr, CString};
use std::panic::{catch_unwind, resume_unwind, AssertUnwindSafe};
use std::path::Path;
use std::ptr;

use ponder_sys as sys;

use crate::{Error, Result};

/// # Safety
/// text is a NUL-terminated static string.
pub unsafe fn static_str(text: *const sys::c_char) -> &'static str {
    CStr::from_ptr(text as *const _).to_str().unwrap_or("")
}

/// The status of f, which gets an error to fill.
pub fn check(f: impl FnOnce(*mut sys::ponder_error) -> sys::ponder_status) -> Result<sys::ponder_status> {
    let mut err = sys::ponder_error { code: 0, message: [0; 508] };
    let status = f(&mut err);
    if status >= 0 {
        return Ok(status);
    }
    Err(error_of(status, &err))
}

pub fn error_of(status: sys::ponder_status, err: &sys::ponder_error) -> Error {
    // SAFETY: the library ends the message with a NUL, and it begins as all NULs.
    let message = unsafe { CStr::from_ptr(err.message.as_ptr() as *const _) };
    Error::new(status, message.to_string_lossy())
}

/// The handle that f makes.
pub fn handle<T>(f: impl FnOnce(*mut *mut T, *mut sys::ponder_error) -> sys::ponder_status) -> Result<*mut T> {
    let mut out = ptr::null_mut();
    check(|err| f(&mut out, err))?;
    Ok(out)
}

/// The content of the buffer that f makes.
pub fn bytes(f: impl FnOnce(*mut *mut sys::ponder_buffer, *mut sys::ponder_error) -> sys::ponder_status) -> Result<Vec<u8>> {
    let buffer = handle(f)?;
    // SAFETY: size bytes at data, until the buffer is freed.
    unsafe {
        let content = slice(sys::ponder_buffer_data(buffer) as *const u8, sys::ponder_buffer_size(buffer)).to_vec();
        sys::ponder_buffer_free(buffer);
        Ok(content)
    }
}

pub fn string(f: impl FnOnce(*mut *mut sys::ponder_buffer, *mut sys::ponder_error) -> sys::ponder_status) -> Result<String> {
    Ok(String::from_utf8_lossy(&bytes(f)?).into_owned())
}

/// The list that f fills: (array, capacity, count, err).
pub fn list(
    f: impl Fn(*mut i32, usize, *mut usize, *mut sys::ponder_error) -> sys::ponder_status,
) -> Result<Vec<i32>> {
    let mut count = 0;
    check(|err| f(ptr::null_mut(), 0, &mut count, err))?;
    let mut ids = vec![0; count];
    if count > 0 {
        check(|err| f(ids.as_mut_ptr(), ids.len(), &mut count, err))?;
    }
    Ok(ids)
}

/// # Safety
/// len elements at data, or len 0.
pub unsafe fn slice<'a, T>(data: *const T, len: usize) -> &'a [T] {
    if len == 0 {
        &[]
    } else {
        std::slice::from_raw_parts(data, len)
    }
}

pub fn c_string(text: &str) -> Result<CString> {
    CString::new(text).map_err(|_| Error::invalid_argument(format!("{text:?} holds a NUL")))
}

pub fn c_path(path: &Path) -> Result<CString> {
    let text = path.to_str().ok_or_else(|| Error::invalid_argument(format!("{} is not UTF-8", path.display())))?;
    c_string(text)
}

pub fn c_ptr(text: *const std::os::raw::c_char) -> *const sys::c_char {
    text as *const sys::c_char
}

pub fn optional(text: &Option<CString>) -> *const sys::c_char {
    text.as_ref().map_or(ptr::null(), |text| c_ptr(text.as_ptr()))
}

pub fn text_ptr(text: &str) -> *const sys::c_char {
    text.as_ptr() as *const sys::c_char
}

/// A closure for the time of one call, with what it panicked with.
pub struct Host<F> {
    function: F,
    panic: Option<Box<dyn Any + Send>>,
}

impl<F> Host<F> {
    pub fn new(function: F) -> Host<F> {
        Host { function, panic: None }
    }

    pub fn into_inner(self) -> F {
        self.function
    }

    pub fn user_data(&mut self) -> *mut c_void {
        self as *mut Host<F> as *mut c_void
    }

    /// Runs f on the closure; a panic is kept and becomes None.
    ///
    /// # Safety
    /// user_data is that of a living Host<F> which nothing else uses.
    pub unsafe fn run<R>(user_data: *mut c_void, f: impl FnOnce(&mut F) -> R) -> Option<R> {
        let host = &mut *(user_data as *mut Host<F>);
        let function = &mut host.function;
        match catch_unwind(AssertUnwindSafe(|| f(function))) {
            Ok(result) => Some(result),
            Err(payload) => {
                host.panic = Some(payload);
                None
            }
        }
    }

    /// When the call has returned: a panic goes on.
    pub fn resume(&mut self) {
        if let Some(payload) = self.panic.take() {
            resume_unwind(payload);
        }
    }
}

/// What a function of the host returns: 0 to go on.
pub fn stop_unless(go_on: Option<bool>) -> i32 {
    i32::from(go_on != Some(true))
}

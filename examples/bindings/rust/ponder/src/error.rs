use std::fmt;

use ponder_sys as sys;

use crate::call::static_str;

pub type Result<T> = std::result::Result<T, Error>;

/// What went wrong. The library may know more of them than this crate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Status {
    InvalidArgument,
    OutOfMemory,
    Io,
    NotFound,
    BadFile,
    Unsupported,
    State,
    ContextFull,
    Cancelled,
    NoTokenizer,
    Template,
    Numeric,
    BufferTooSmall,
    Callback,
    Device,
    Internal,
    Other(i32),
}

impl Status {
    pub(crate) fn of(code: sys::ponder_status) -> Status {
        match code {
            sys::PONDER_E_INVALID_ARGUMENT => Status::InvalidArgument,
            sys::PONDER_E_OUT_OF_MEMORY => Status::OutOfMemory,
            sys::PONDER_E_IO => Status::Io,
            sys::PONDER_E_NOT_FOUND => Status::NotFound,
            sys::PONDER_E_BAD_FILE => Status::BadFile,
            sys::PONDER_E_UNSUPPORTED => Status::Unsupported,
            sys::PONDER_E_STATE => Status::State,
            sys::PONDER_E_CONTEXT_FULL => Status::ContextFull,
            sys::PONDER_E_CANCELLED => Status::Cancelled,
            sys::PONDER_E_NO_TOKENIZER => Status::NoTokenizer,
            sys::PONDER_E_TEMPLATE => Status::Template,
            sys::PONDER_E_NUMERIC => Status::Numeric,
            sys::PONDER_E_BUFFER_TOO_SMALL => Status::BufferTooSmall,
            sys::PONDER_E_CALLBACK => Status::Callback,
            sys::PONDER_E_DEVICE => Status::Device,
            sys::PONDER_E_INTERNAL => Status::Internal,
            code => Status::Other(code),
        }
    }
}

/// A call failed: its status, and a message that names the thing, what was found and what was wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    code: sys::ponder_status,
    message: String,
}

impl Error {
    pub(crate) fn new(code: sys::ponder_status, message: impl Into<String>) -> Error {
        Error { code, message: message.into() }
    }

    pub(crate) fn invalid_argument(message: impl Into<String>) -> Error {
        Error::new(sys::PONDER_E_INVALID_ARGUMENT, message)
    }

    pub fn status(&self) -> Status {
        Status::of(self.code)
    }

    /// The number of ponder.h.
    pub fn code(&self) -> i32 {
        self.code
    }

    /// The status as a word, e.g. "context_full".
    pub fn name(&self) -> &'static str {
        // SAFETY: a static string for every number.
        unsafe { static_str(sys::ponder_status_name(self.code)) }
    }

    pub fn message(&self) -> &str {
        &self.message
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.message.is_empty() { self.name() } else { &self.message })
    }
}

impl std::error::Error for Error {}

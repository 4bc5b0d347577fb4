//! DeepSeek models inside your program.
//!
//! ```no_run
//! # fn main() -> ponder::Result<()> {
//! let model = ponder::Model::load("DeepSeek-R1-Distill-Qwen-1.5B")?;
//! let mut session = model.session(&Default::default())?;
//! session.prompt("Why is the sky blue?")?;
//! for event in session.events() {
//!     let event = event?;
//!     if event.channel == ponder::Channel::Answer {
//!         print!("{}", event.text);
//!     }
//! }
//! # Ok(())
//! # }
//! ```
//!
//! Threads: [`Runtime`], [`Model`], [`Tokenizer`] and [`ChatTemplate`] are cheap to clone and may be used by any thread at
//! any time. A [`Session`] is `Send` but not `Sync`: one thread at a time; its [`Canceller`] stops it from any thread.
//!
//! A closure that panics stops the call that it was given to, and the panic goes on when that has returned.

mod adapter;
mod batch;
mod call;
mod error;
mod files;
mod messages;
mod model;
mod params;
mod runtime;
mod session;
mod text;

pub use adapter::{Adapter, AdapterInfo};
pub use batch::{Batch, BatchEvent, BatchKey, BatchOptions};
pub use error::{Error, Result, Status};
pub use files::{FileSystem, HostFile};
pub use messages::{ChatOptions, Message, Messages};
pub use model::{
    inspect, inspect_memory, list_models, quantize, resolve, ImatrixOptions, LoadOptions, MemoryFile, MemoryPlan, Model,
    ModelInfo, QuantizeOptions,
};
pub use params::{
    Channel, Compute, Event, Finish, GenerateParams, KvType, Logprob, Pooling, Reply, SessionParams, SessionStats, Step,
    THINK_NONE,
};
pub use runtime::{LogLevel, MemoryInfo, Runtime, RuntimeOptions};
pub use session::{next_batch, Canceller, EmbedOptions, EvaluateOptions, Events, Grammar, Session, Tensor, TensorData};
pub use text::{ChatTemplate, EncodeOptions, Tokenizer, TokenizerInfo};

/// The low-level crate, for what this one does not wrap.
pub use ponder_sys as sys;

/// The version of the loaded library.
pub fn version() -> &'static str {
    // SAFETY: a static string.
    unsafe { call::static_str(sys::ponder_version()) }
}

/// `PONDER_ABI_VERSION` of the loaded library.
pub fn abi_version() -> u32 {
    unsafe { sys::ponder_abi_version() }
}

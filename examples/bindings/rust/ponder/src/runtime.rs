use std::alloc::{GlobalAlloc, Layout};
use std::ffi::c_void;
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::ptr;
use std::sync::Arc;

use ponder_sys as sys;

use crate::call::{c_string, check, handle, optional, slice, static_str, string};
use crate::Result;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum LogLevel {
    Debug,
    Info,
    Warning,
    Error,
}

impl LogLevel {
    fn of(raw: sys::ponder_log_level) -> LogLevel {
        match raw {
            sys::PONDER_LOG_DEBUG => LogLevel::Debug,
            sys::PONDER_LOG_WARNING => LogLevel::Warning,
            sys::PONDER_LOG_ERROR => LogLevel::Error,
            _ => LogLevel::Info,
        }
    }
    fn raw(self) -> sys::ponder_log_level {
        match self {
            LogLevel::Debug => sys::PONDER_LOG_DEBUG,
            LogLevel::Info => sys::PONDER_LOG_INFO,
            LogLevel::Warning => sys::PONDER_LOG_WARNING,
            LogLevel::Error => sys::PONDER_LOG_ERROR,
        }
    }
}

type LogFn = dyn Fn(LogLevel, &str) + Send + Sync;
type ThreadFn = dyn Fn(i32) + Send + Sync;
type ExecutorFn = dyn Fn(usize, &(dyn Fn(usize) + Sync)) + Send + Sync;

/// Threads, instruction set, log, memory. The closures may run on any thread; what they panic with is dropped.
#[derive(Default)]
pub struct RuntimeOptions {
    /// Compute threads, the calling one included; 0: one per available core.
    pub threads: i32,
    /// "ref", "avx2", ...: no kernel above it is used.
    pub max_isa: Option<String>,
    /// Bytes of weights, KV caches and scratch; 0: no limit.
    pub memory_limit: i64,
    pub log: Option<Box<LogFn>>,
    /// Least level that is sent; None: info.
    pub log_level: Option<LogLevel>,
    pub on_thread_start: Option<Box<ThreadFn>>,
    /// The host's threads: runs task(i) for every i below n and returns when all are done.
    pub executor: Option<Box<ExecutorFn>>,
    /// For large memory.
    pub allocator: Option<&'static (dyn GlobalAlloc + Sync)>,
}

struct Inner {
    raw: *mut sys::ponder_runtime,
    _options: Box<RuntimeOptions>, // used as long as anything made with the runtime lives: models hold it, sessions models
}

impl Drop for Inner {
    fn drop(&mut self) {
        unsafe { sys::ponder_runtime_free(self.raw) }
    }
}

// SAFETY: "Runtimes ... are immutable: any thread, any time"; the closures are Send and Sync.
unsafe impl Send for Inner {}
unsafe impl Sync for Inner {}

/// A thread pool and the kernels for this CPU.
#[derive(Clone)]
pub struct Runtime(Arc<Inner>);

/// What a runtime's large memory is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemoryInfo {
    pub limit_bytes: i64,
    pub used_bytes: i64,
    pub peak_bytes: i64,
    pub weight_bytes: i64,
    pub kv_bytes: i64,
    pub scratch_bytes: i64,
    pub other_bytes: i64,
}

impl Runtime {
    /// A runtime of default options.
    pub fn new() -> Result<Runtime> {
        Runtime::with(RuntimeOptions::default())
    }

    pub fn with(options: RuntimeOptions) -> Result<Runtime> {
        let options = Box::new(options);
        let max_isa = options.max_isa.as_deref().map(c_string).transpose()?;
        let user_data = &*options as *const RuntimeOptions as *mut c_void;
        let mut params = sys::ponder_runtime_params {
            n_threads: options.threads,
            max_isa: optional(&max_isa),
            memory_limit: options.memory_limit,
            log_level: options.log_level.map_or(sys::PONDER_LOG_DEFAULT, LogLevel::raw),
            ..Default::default()
        };
        if options.log.is_some() {
            params.log = Some(log);
            params.log_user_data = user_data;
        }
        if options.on_thread_start.is_some() {
            params.on_thread_start = Some(on_thread_start);
            params.thread_user_data = user_data;
        }
        if options.executor.is_some() {
            params.executor = Some(executor);
            params.executor_user_data = user_data;
        }
        if options.allocator.is_some() {
            params.allocate = Some(allocate);
            params.deallocate = Some(deallocate);
            params.allocator_user_data = user_data;
        }
        let raw = handle(|out, err| unsafe { sys::ponder_runtime_create(&params, out, err) })?;
        Ok(Runtime(Arc::new(Inner { raw, _options: options })))
    }

    pub(crate) fn raw(&self) -> *mut sys::ponder_runtime {
        self.0.raw
    }

    /// The instruction set in use, e.g. "avx2".
    pub fn isa(&self) -> &'static str {
        unsafe { static_str(sys::ponder_runtime_isa(self.raw())) }
    }

    pub fn threads(&self) -> i32 {
        unsafe { sys::ponder_runtime_threads(self.raw()) }
    }

    /// Every kernel beside its scalar reference on this CPU, as a JSON object; `Status::Device` when one fails.
    pub fn selftest(&self) -> Result<String> {
        string(|out, err| unsafe { sys::ponder_selftest(self.raw(), out, err) })
    }

    pub fn memory(&self) -> Result<MemoryInfo> {
        let mut raw = sys::ponder_memory_info::default();
        check(|err| unsafe { sys::ponder_runtime_memory(self.raw(), &mut raw, err) })?;
        Ok(MemoryInfo {
            limit_bytes: raw.limit_bytes,
            used_bytes: raw.used_bytes,
            peak_bytes: raw.peak_bytes,
            weight_bytes: raw.weight_bytes,
            kv_bytes: raw.kv_bytes,
            scratch_bytes: raw.scratch_bytes,
            other_bytes: raw.other_bytes,
        })
    }
}

/// f on the options at user_data; None after a panic.
unsafe fn quietly<R>(user_data: *mut c_void, f: impl FnOnce(&RuntimeOptions) -> R) -> Option<R> {
    let options = &*(user_data as *const RuntimeOptions);
    catch_unwind(AssertUnwindSafe(|| f(options))).ok()
}

unsafe extern "C" fn log(user_data: *mut c_void, level: sys::ponder_log_level, message: *const sys::c_char, len: usize) {
    quietly(user_data, |options| {
        let message = String::from_utf8_lossy(slice(message as *const u8, len));
        if let Some(log) = &options.log {
            log(LogLevel::of(level), &message);
        }
    });
}

unsafe extern "C" fn on_thread_start(user_data: *mut c_void, index: i32) {
    quietly(user_data, |options| options.on_thread_start.as_ref().map(|start| start(index)));
}

struct Task(sys::ponder_task_fn, *mut c_void);
// SAFETY: the library's tasks run on any threads.
unsafe impl Sync for Task {}
impl Task {
    fn run(&self, index: usize) {
        unsafe { (self.0)(self.1, index) }
    }
}

unsafe extern "C" fn executor(user_data: *mut c_void, n: usize, task: sys::ponder_task_fn, task_data: *mut c_void) {
    let task = Task(task, task_data);
    quietly(user_data, |options| options.executor.as_ref().map(|execute| execute(n, &|index| task.run(index))));
}

unsafe extern "C" fn allocate(user_data: *mut c_void, size: usize, alignment: usize) -> *mut c_void {
    quietly(user_data, |options| match (options.allocator, Layout::from_size_align(size, alignment)) {
        (Some(allocator), Ok(layout)) => allocator.alloc(layout) as *mut c_void,
        _ => ptr::null_mut(),
    })
    .unwrap_or(ptr::null_mut())
}

unsafe extern "C" fn deallocate(user_data: *mut c_void, memory: *mut c_void, size: usize, alignment: usize) {
    quietly(user_data, |options| {
        if let (Some(allocator), Ok(layout)) = (options.allocator, Layout::from_size_align(size, alignment)) {
            allocator.dealloc(memory as *mut u8, layout);
        }
    });
}

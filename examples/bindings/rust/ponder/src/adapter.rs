use std::path::Path;
use std::sync::Arc;

use ponder_sys as sys;

use crate::call::{c_path, c_ptr, c_string, check, handle};
use crate::model::raw_files;
use crate::{MemoryFile, Model, Result};

struct Inner {
    raw: *mut sys::ponder_adapter,
    _model: Model,
    _memory: Vec<MemoryFile>, // must outlive the adapter and its sessions
}

impl Drop for Inner {
    fn drop(&mut self) {
        unsafe { sys::ponder_adapter_free(self.raw) }
    }
}

// SAFETY: "Runtimes, models, tokenizers, templates and adapters are immutable: any thread, any time".
unsafe impl Send for Inner {}
unsafe impl Sync for Inner {}

/// A LoRA adapter of PEFT for one model, for any number of its sessions: see `Session::set_adapters`.
#[derive(Clone)]
pub struct Adapter(Arc<Inner>);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AdapterInfo {
    pub max_rank: i32,
    pub n_weights: i64,
    pub n_parameters: i64,
    pub fingerprint: u64,
}

impl Adapter {
    /// A folder with adapter_config.json and adapter_model.safetensors.
    pub fn load(model: &Model, path: impl AsRef<Path>) -> Result<Adapter> {
        let path = c_path(path.as_ref())?;
        let (runtime, path) = (model.runtime().raw(), c_ptr(path.as_ptr()));
        Adapter::of(model, Vec::new(), |out, err| unsafe {
            sys::ponder_adapter_load(runtime, model.raw(), path, out, err)
        })
    }

    pub fn from_memory(model: &Model, files: Vec<MemoryFile>) -> Result<Adapter> {
        let names = files.iter().map(|file| c_string(&file.name)).collect::<Result<Vec<_>>>()?;
        let raw = raw_files(&names, &files);
        let runtime = model.runtime().raw();
        Adapter::of(model, files, |out, err| unsafe {
            sys::ponder_adapter_load_memory(runtime, model.raw(), raw.as_ptr(), raw.len(), out, err)
        })
    }

    fn of(
        model: &Model,
        memory: Vec<MemoryFile>,
        f: impl FnOnce(*mut *mut sys::ponder_adapter, *mut sys::ponder_error) -> sys::ponder_status,
    ) -> Result<Adapter> {
        Ok(Adapter(Arc::new(Inner { raw: handle(f)?, _model: model.clone(), _memory: memory })))
    }

    pub(crate) fn raw(&self) -> *mut sys::ponder_adapter {
        self.0.raw
    }

    pub fn info(&self) -> Result<AdapterInfo> {
        let mut raw = sys::ponder_adapter_info::default();
        check(|err| unsafe { sys::ponder_adapter_get_info(self.raw(), &mut raw, err) })?;
        Ok(AdapterInfo {
            max_rank: raw.max_rank,
            n_weights: raw.n_weights,
            n_parameters: raw.n_parameters,
            fingerprint: raw.fingerprint,
        })
    }
}

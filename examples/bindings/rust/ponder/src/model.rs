use std::borrow::Cow;
use std::ffi::c_void;
use std::path::Path;
use std::ptr;
use std::sync::Arc;

use ponder_sys as sys;

use crate::call::{
    c_path, c_ptr, c_string, check, handle, list, optional, stop_unless, string, text_ptr, Host,
};
use crate::files::RawFiles;
use crate::{ChatTemplate, FileSystem, GenerateParams, Result, Runtime, Session, SessionParams, Tokenizer};

/// One file of a checkpoint in memory, e.g. of include_bytes!.
#[derive(Clone, Debug)]
pub struct MemoryFile {
    pub name: String,
    pub data: Cow<'static, [u8]>,
}

/// How to load a model. progress gets a fraction in [0, 1] and returns false to stop.
pub struct LoadOptions<'a> {
    /// None: weights as they lie. Else they are converted while they load, e.g. "q4_k_m".
    pub weight_type: Option<&'a str>,
    /// Load the multi-token-prediction layer, if there is one.
    pub mtp: bool,
    pub progress: Option<&'a mut dyn FnMut(f32) -> bool>,
    /// None: the operating system's.
    pub files: Option<Arc<dyn FileSystem>>,
}

impl Default for LoadOptions<'_> {
    fn default() -> Self {
        LoadOptions { weight_type: None, mtp: true, progress: None, files: None }
    }
}

struct Inner {
    raw: *mut sys::ponder_model,
    runtime: Runtime,
    _memory: Vec<MemoryFile>, // must outlive the model, as the files must
    _files: Option<RawFiles>,
}

impl Drop for Inner {
    fn drop(&mut self) {
        unsafe { sys::ponder_model_free(self.raw) }
    }
}

// SAFETY: "Models ... are immutable: any thread, any time".
unsafe impl Send for Inner {}
unsafe impl Sync for Inner {}

/// A loaded checkpoint, shared by all clones and sessions.
#[derive(Clone)]
pub struct Model(Arc<Inner>);

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelInfo {
    pub vocab_size: i32,
    pub hidden_size: i32,
    pub num_hidden_layers: i32,
    pub max_position_embeddings: i32,
    pub has_tokenizer: bool,
    pub has_chat_template: bool,
    pub has_mtp: bool,
    pub bos_token_id: i32,
    pub n_parameters: i64,
    pub n_active_parameters: i64,
    pub weight_bytes: i64,
    pub kv_bytes_per_token: i64,
    pub fingerprint: u64,
    pub active_weight_bytes: i64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemoryPlan {
    pub context_length: i64,
    pub weight_bytes: i64,
    pub kv_bytes: i64,
    pub scratch_bytes: i64,
    pub other_bytes: i64,
    pub total_bytes: i64,
}

type LoadProgress<'a> = &'a mut dyn FnMut(f32) -> bool;

unsafe extern "C" fn on_load(user_data: *mut c_void, fraction: f32) -> i32 {
    stop_unless(Host::<LoadProgress>::run(user_data, |progress| progress(fraction)))
}

impl Model {
    /// A Hugging Face folder or a GGUF file, in a runtime of its own.
    pub fn load(path: impl AsRef<Path>) -> Result<Model> {
        Model::load_with(&Runtime::new()?, path, LoadOptions::default())
    }

    pub fn load_with(runtime: &Runtime, path: impl AsRef<Path>, options: LoadOptions) -> Result<Model> {
        let path = c_path(path.as_ref())?;
        Model::make(runtime, options, Vec::new(), |params, out, err| unsafe {
            sys::ponder_model_load(runtime.raw(), c_ptr(path.as_ptr()), params, out, err)
        })
    }

    /// From files in memory, which are used where they lie.
    pub fn from_memory(runtime: &Runtime, files: Vec<MemoryFile>, options: LoadOptions) -> Result<Model> {
        let names = files.iter().map(|file| c_string(&file.name)).collect::<Result<Vec<_>>>()?;
        let raw = raw_files(&names, &files);
        Model::make(runtime, options, files, |params, out, err| unsafe {
            sys::ponder_model_load_memory(runtime.raw(), raw.as_ptr(), raw.len(), params, out, err)
        })
    }

    fn make(
        runtime: &Runtime,
        options: LoadOptions,
        memory: Vec<MemoryFile>,
        f: impl FnOnce(&sys::ponder_model_params, *mut *mut sys::ponder_model, *mut sys::ponder_error) -> sys::ponder_status,
    ) -> Result<Model> {
        let weight_type = options.weight_type.map(c_string).transpose()?;
        let files = options.files.map(RawFiles::new);
        let mut host = options.progress.map(Host::new);
        let params = sys::ponder_model_params {
            flags: if options.mtp { 0 } else { sys::PONDER_MODEL_NO_MTP },
            weight_type: optional(&weight_type),
            progress: host.as_ref().map(|_| on_load as sys::ponder_progress_fn),
            progress_user_data: host.as_mut().map_or(ptr::null_mut(), Host::user_data),
            files: files.as_ref().map_or(ptr::null(), |files| &files.raw),
            ..Default::default()
        };
        let raw = handle(|out, err| f(&params, out, err));
        if let Some(host) = &mut host {
            host.resume();
        }
        Ok(Model(Arc::new(Inner { raw: raw?, runtime: runtime.clone(), _memory: memory, _files: files })))
    }

    /// Seeded random weights in the geometry of a config.json. dtype: "f32", "f16", "bf16" or "fp8"; layers 0: all.
    pub fn random(runtime: &Runtime, config_json: &str, dtype: &str, layers: i32, seed: u64) -> Result<Model> {
        let dtype = c_string(dtype)?;
        let (config, len) = (text_ptr(config_json), config_json.len());
        Model::make(runtime, LoadOptions::default(), Vec::new(), |_, out, err| unsafe {
            sys::ponder_model_random(runtime.raw(), config, len, c_ptr(dtype.as_ptr()), layers, seed, out, err)
        })
    }

    pub(crate) fn raw(&self) -> *mut sys::ponder_model {
        self.0.raw
    }

    pub fn runtime(&self) -> &Runtime {
        &self.0.runtime
    }

    pub fn session(&self, params: &SessionParams) -> Result<Session> {
        Session::new(self, params)
    }

    pub fn info(&self) -> Result<ModelInfo> {
        let mut raw = sys::ponder_model_info::default();
        check(|err| unsafe { sys::ponder_model_get_info(self.raw(), &mut raw, err) })?;
        Ok(ModelInfo {
            vocab_size: raw.vocab_size,
            hidden_size: raw.hidden_size,
            num_hidden_layers: raw.num_hidden_layers,
            max_position_embeddings: raw.max_position_embeddings,
            has_tokenizer: raw.has_tokenizer != 0,
            has_chat_template: raw.has_chat_template != 0,
            has_mtp: raw.has_mtp != 0,
            bos_token_id: raw.bos_token_id,
            n_parameters: raw.n_parameters,
            n_active_parameters: raw.n_active_parameters,
            weight_bytes: raw.weight_bytes,
            kv_bytes_per_token: raw.kv_bytes_per_token,
            fingerprint: raw.fingerprint,
            active_weight_bytes: raw.active_weight_bytes,
        })
    }

    pub fn eos_ids(&self) -> Result<Vec<i32>> {
        list(|ids, capacity, count, err| unsafe { sys::ponder_model_eos_ids(self.raw(), ids, capacity, count, err) })
    }

    /// The warnings of the load as a JSON array of strings.
    pub fn load_report(&self) -> Result<String> {
        string(|out, err| unsafe { sys::ponder_model_load_report(self.raw(), out, err) })
    }

    /// What a session with these params would reserve.
    pub fn plan(&self, params: &SessionParams) -> Result<MemoryPlan> {
        let mut raw = sys::ponder_memory_plan::default();
        params.with_raw(|params| check(|err| unsafe { sys::ponder_model_plan(self.raw(), params, &mut raw, err) }))?;
        Ok(MemoryPlan {
            context_length: raw.context_length,
            weight_bytes: raw.weight_bytes,
            kv_bytes: raw.kv_bytes,
            scratch_bytes: raw.scratch_bytes,
            other_bytes: raw.other_bytes,
            total_bytes: raw.total_bytes,
        })
    }

    pub fn tokenizer(&self) -> Result<Tokenizer> {
        Tokenizer::of(Some(Box::new(self.clone())), |out, err| unsafe { sys::ponder_model_tokenizer(self.raw(), out, err) })
    }

    pub fn template(&self) -> Result<ChatTemplate> {
        ChatTemplate::of(Some(Box::new(self.clone())), |out, err| unsafe { sys::ponder_model_template(self.raw(), out, err) })
    }

    /// What the checkpoint's generation_config.json asks for.
    pub fn generate_params(&self) -> Result<GenerateParams> {
        let mut raw = sys::ponder_generate_params::default();
        check(|err| unsafe { sys::ponder_model_generate_params(self.raw(), &mut raw, err) })?;
        Ok(unsafe { GenerateParams::of(&raw) })
    }

    /// Writes an importance matrix for [`quantize`]; returns a JSON object. Experimental.
    pub fn imatrix(&self, text: &str, output: impl AsRef<Path>, options: ImatrixOptions) -> Result<String> {
        let output = c_path(output.as_ref())?;
        let mut host = options.progress.map(Host::new);
        let params = sys::ponder_imatrix_params {
            chunk_tokens: options.chunk_tokens,
            max_chunks: options.max_chunks,
            progress: host.as_ref().map(|_| on_imatrix as sys::ponder_imatrix_fn),
            progress_user_data: host.as_mut().map_or(ptr::null_mut(), Host::user_data),
            ..Default::default()
        };
        let (runtime, path) = (self.runtime().raw(), c_ptr(output.as_ptr()));
        let report = string(|out, err| unsafe {
            sys::ponder_imatrix(runtime, self.raw(), text_ptr(text), text.len(), path, &params, out, err)
        });
        if let Some(host) = &mut host {
            host.resume();
        }
        report
    }
}

type ImatrixProgress<'a> = &'a mut dyn FnMut(u64, u64) -> bool;

/// progress gets the chunks read and in all, and returns false to stop.
#[derive(Default)]
pub struct ImatrixOptions<'a> {
    pub chunk_tokens: i32,
    pub max_chunks: i32,
    pub progress: Option<&'a mut dyn FnMut(u64, u64) -> bool>,
}

unsafe extern "C" fn on_imatrix(user_data: *mut c_void, done: u64, n: u64) -> i32 {
    stop_unless(Host::<ImatrixProgress>::run(user_data, |progress| progress(done, n)))
}

type QuantizeProgress<'a> = &'a mut dyn FnMut(u64, u64, &str) -> bool;

/// progress gets the bytes written and in all and the tensor, and returns false to stop.
#[derive(Default)]
pub struct QuantizeOptions<'a> {
    /// None: "q4_k_m".
    pub weight_type: Option<&'a str>,
    pub imatrix: Option<&'a Path>,
    pub progress: Option<&'a mut dyn FnMut(u64, u64, &str) -> bool>,
    pub files: Option<Arc<dyn FileSystem>>,
}

unsafe extern "C" fn on_quantize(user_data: *mut c_void, done: u64, total: u64, tensor: *const sys::c_char) -> i32 {
    let tensor = std::ffi::CStr::from_ptr(tensor as *const _).to_string_lossy();
    stop_unless(Host::<QuantizeProgress>::run(user_data, |progress| progress(done, total, &tensor)))
}

/// Writes a model as one GGUF file with weights of another type; returns a JSON object. Experimental.
pub fn quantize(
    runtime: &Runtime,
    path: impl AsRef<Path>,
    output: impl AsRef<Path>,
    options: QuantizeOptions,
) -> Result<String> {
    let (path, output) = (c_path(path.as_ref())?, c_path(output.as_ref())?);
    let weight_type = options.weight_type.map(c_string).transpose()?;
    let imatrix = options.imatrix.map(c_path).transpose()?;
    let files = options.files.map(RawFiles::new);
    let mut host = options.progress.map(Host::new);
    let params = sys::ponder_quantize_params {
        type_: optional(&weight_type),
        imatrix_path: optional(&imatrix),
        progress: host.as_ref().map(|_| on_quantize as sys::ponder_quantize_fn),
        progress_user_data: host.as_mut().map_or(ptr::null_mut(), Host::user_data),
        files: files.as_ref().map_or(ptr::null(), |files| &files.raw),
        ..Default::default()
    };
    let report = string(|out, err| unsafe {
        sys::ponder_quantize(runtime.raw(), c_ptr(path.as_ptr()), c_ptr(output.as_ptr()), &params, out, err)
    });
    if let Some(host) = &mut host {
        host.resume();
    }
    report
}

/// The structs of files in memory; they point into names and files.
pub(crate) fn raw_files(names: &[std::ffi::CString], files: &[MemoryFile]) -> Vec<sys::ponder_memory_file> {
    let raw = |(name, file): (&std::ffi::CString, &MemoryFile)| sys::ponder_memory_file {
        name: c_ptr(name.as_ptr()),
        data: file.data.as_ptr() as *const c_void,
        size: file.data.len(),
    };
    names.iter().zip(files).map(raw).collect()
}

/// What a checkpoint is, as a JSON object, from its headers.
pub fn inspect(path: impl AsRef<Path>, params: &SessionParams, files: Option<Arc<dyn FileSystem>>) -> Result<String> {
    let path = c_path(path.as_ref())?;
    let path = c_ptr(path.as_ptr());
    params.with_raw(|params| match files.map(RawFiles::new) {
        None => string(|out, err| unsafe { sys::ponder_inspect(path, params, out, err) }),
        Some(files) => string(|out, err| unsafe { sys::ponder_inspect_files(&files.raw, path, params, out, err) }),
    })
}

/// As [`inspect`], of files in memory.
pub fn inspect_memory(files: &[MemoryFile], params: &SessionParams) -> Result<String> {
    let names = files.iter().map(|file| c_string(&file.name)).collect::<Result<Vec<_>>>()?;
    let raw = raw_files(&names, files);
    params.with_raw(|params| {
        string(|out, err| unsafe { sys::ponder_inspect_memory(raw.as_ptr(), raw.len(), params, out, err) })
    })
}

/// The path of a model by the name that another program on this machine gives it, e.g. "deepseek-r1:8b".
pub fn resolve(name: &str) -> Result<String> {
    let name = c_string(name)?;
    string(|out, err| unsafe { sys::ponder_model_resolve(c_ptr(name.as_ptr()), out, err) })
}

/// The models of those programs, as a JSON array.
pub fn list_models() -> Result<String> {
    string(|out, err| unsafe { sys::ponder_model_list(out, err) })
}

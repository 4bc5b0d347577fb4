use std::any::Any;
use std::path::Path;
use std::ptr;
use std::sync::Arc;

use ponder_sys as sys;

use crate::call::{bytes, c_path, c_ptr, c_string, check, handle, list, slice, string, text_ptr};
use crate::files::RawFiles;
use crate::{ChatOptions, FileSystem, Messages, Result};

/// What a handle may still use: the host's files, or the model that it is of.
pub(crate) type Keep = Option<Box<dyn Any + Send + Sync>>;

struct RawTokenizer {
    raw: *mut sys::ponder_tokenizer,
    _keep: Keep,
}
// SAFETY: "Tokenizers and templates are immutable: any thread, any time".
unsafe impl Send for RawTokenizer {}
unsafe impl Sync for RawTokenizer {}
impl Drop for RawTokenizer {
    fn drop(&mut self) {
        unsafe { sys::ponder_tokenizer_free(self.raw) }
    }
}

#[derive(Clone)]
pub struct Tokenizer(Arc<RawTokenizer>);

/// Ids are -1 when there is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TokenizerInfo {
    pub n_ids: i32,
    pub bos_token_id: i32,
    pub eos_token_id: i32,
    pub think_start_id: i32,
    pub think_end_id: i32,
    pub adds_bos: bool,
    pub has_chat_template: bool,
}

#[derive(Clone, Copy, Debug, Default)]
pub struct EncodeOptions {
    /// Added tokens in the text become their ids.
    pub special: bool,
    /// Put the beginning-of-sentence id in front.
    pub bos: bool,
}

impl Tokenizer {
    /// A folder with tokenizer.json, that file, or a GGUF file.
    pub fn load(path: impl AsRef<Path>) -> Result<Tokenizer> {
        let path = c_path(path.as_ref())?;
        Tokenizer::of(None, |out, err| unsafe { sys::ponder_tokenizer_load(c_ptr(path.as_ptr()), out, err) })
    }

    pub fn load_from(files: Arc<dyn FileSystem>, path: &str) -> Result<Tokenizer> {
        let (files, path) = (RawFiles::new(files), c_string(path)?);
        let raw = handle(|out, err| unsafe {
            sys::ponder_tokenizer_load_files(&files.raw, c_ptr(path.as_ptr()), out, err)
        })?;
        Ok(Tokenizer(Arc::new(RawTokenizer { raw, _keep: Some(Box::new(files)) })))
    }

    pub(crate) fn of(
        keep: Keep,
        f: impl FnOnce(*mut *mut sys::ponder_tokenizer, *mut sys::ponder_error) -> sys::ponder_status,
    ) -> Result<Tokenizer> {
        Ok(Tokenizer(Arc::new(RawTokenizer { raw: handle(f)?, _keep: keep })))
    }

    fn raw(&self) -> *mut sys::ponder_tokenizer {
        self.0.raw
    }

    pub fn info(&self) -> Result<TokenizerInfo> {
        let mut raw = sys::ponder_tokenizer_info::default();
        check(|err| unsafe { sys::ponder_tokenizer_get_info(self.raw(), &mut raw, err) })?;
        Ok(TokenizerInfo {
            n_ids: raw.n_ids,
            bos_token_id: raw.bos_token_id,
            eos_token_id: raw.eos_token_id,
            think_start_id: raw.think_start_id,
            think_end_id: raw.think_end_id,
            adds_bos: raw.adds_bos != 0,
            has_chat_template: raw.has_chat_template != 0,
        })
    }

    pub fn encode(&self, text: &str, options: EncodeOptions) -> Result<Vec<i32>> {
        let flags = (if options.special { sys::PONDER_ENCODE_SPECIAL } else { 0 })
            | (if options.bos { sys::PONDER_ENCODE_BOS } else { 0 });
        list(|ids, capacity, count, err| unsafe {
            sys::ponder_tokenizer_encode(self.raw(), text_ptr(text), text.len(), flags, ids, capacity, count, err)
        })
    }

    /// Unfinished characters become U+FFFD.
    pub fn decode(&self, ids: &[i32], skip_special: bool) -> Result<String> {
        let flags = if skip_special { sys::PONDER_DECODE_SKIP_SPECIAL } else { 0 };
        string(|out, err| unsafe { sys::ponder_tokenizer_decode(self.raw(), ids.as_ptr(), ids.len(), flags, out, err) })
    }

    /// The id of one token given by its text, e.g. `<think>`.
    pub fn find(&self, token: &str) -> Result<i32> {
        let mut id = -1;
        check(|err| unsafe { sys::ponder_tokenizer_find(self.raw(), text_ptr(token), token.len(), &mut id, err) })?;
        Ok(id)
    }

    /// One token's raw bytes, possibly a part of a character, and its flags: `sys::PONDER_TOKEN_...`
    pub fn token(&self, id: i32) -> Result<(Vec<u8>, u32)> {
        let (mut data, mut len, mut flags) = (ptr::null(), 0, 0);
        check(|err| unsafe { sys::ponder_tokenizer_token(self.raw(), id, &mut data, &mut len, &mut flags, err) })?;
        // SAFETY: owned by the tokenizer.
        Ok((unsafe { slice(data as *const u8, len) }.to_vec(), flags))
    }
}

struct RawTemplate {
    raw: *mut sys::ponder_template,
    _keep: Keep,
}
// SAFETY: as of RawTokenizer.
unsafe impl Send for RawTemplate {}
unsafe impl Sync for RawTemplate {}
impl Drop for RawTemplate {
    fn drop(&mut self) {
        unsafe { sys::ponder_template_free(self.raw) }
    }
}

#[derive(Clone)]
pub struct ChatTemplate(Arc<RawTemplate>);

impl ChatTemplate {
    /// The template of a folder or a GGUF file.
    pub fn load(path: impl AsRef<Path>) -> Result<ChatTemplate> {
        let path = c_path(path.as_ref())?;
        ChatTemplate::of(None, |out, err| unsafe { sys::ponder_template_load(c_ptr(path.as_ptr()), out, err) })
    }

    pub fn load_from(files: Arc<dyn FileSystem>, path: &str) -> Result<ChatTemplate> {
        let (files, path) = (RawFiles::new(files), c_string(path)?);
        let raw = handle(|out, err| unsafe {
            sys::ponder_template_load_files(&files.raw, c_ptr(path.as_ptr()), out, err)
        })?;
        Ok(ChatTemplate(Arc::new(RawTemplate { raw, _keep: Some(Box::new(files)) })))
    }

    /// "deepseek-v2", "deepseek-v3", "deepseek-r1" or "r1-distill".
    pub fn builtin(name: &str) -> Result<ChatTemplate> {
        let name = c_string(name)?;
        ChatTemplate::of(None, |out, err| unsafe { sys::ponder_template_builtin(c_ptr(name.as_ptr()), out, err) })
    }

    pub(crate) fn of(
        keep: Keep,
        f: impl FnOnce(*mut *mut sys::ponder_template, *mut sys::ponder_error) -> sys::ponder_status,
    ) -> Result<ChatTemplate> {
        Ok(ChatTemplate(Arc::new(RawTemplate { raw: handle(f)?, _keep: keep })))
    }

    pub fn render(&self, messages: impl Into<Messages>, options: &ChatOptions) -> Result<String> {
        let json = messages.into().json;
        let (kwargs, kwargs_len) = options.kwargs();
        let flags = options.flags();
        let text = bytes(|out, err| unsafe {
            sys::ponder_template_render(self.0.raw, text_ptr(&json), json.len(), kwargs, kwargs_len, flags, out, err)
        })?;
        Ok(String::from_utf8_lossy(&text).into_owned())
    }
}

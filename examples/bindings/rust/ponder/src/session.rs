use std::cell::Cell;
use std::collections::BTreeMap;
use std::ffi::{c_void, CStr};
use std::marker::PhantomData;
use std::ops::ControlFlow;
use std::path::Path;
use std::ptr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use ponder_sys as sys;

use crate::call::{bytes, c_path, c_ptr, check, error_of, handle, list, slice, stop_unless, text_ptr, Host};
use crate::{
    Adapter, Channel, ChatOptions, Error, Event, Finish, GenerateParams, Logprob, Messages, Model, Pooling, Reply, Result,
    SessionParams, SessionStats, Step,
};

/// What an answer stays within: see [`Session::set_grammar`].
#[derive(Clone, Copy, Debug)]
pub enum Grammar<'a> {
    Gbnf(&'a str),
    Regex(&'a str),
    JsonSchema(&'a str),
}

pub(crate) struct Inner {
    pub raw: *mut sys::ponder_session,
    _model: Model, // and with it what the model uses of the host's
    adapters: Mutex<Vec<Adapter>>,
}

impl Drop for Inner {
    fn drop(&mut self) {
        unsafe { sys::ponder_session_free(self.raw) }
    }
}

// SAFETY: a session may go to another thread; all that a Canceller does with it is ponder_session_cancel, from any.
unsafe impl Send for Inner {}
unsafe impl Sync for Inner {}

/// Stops a session from any thread; see [`Session::canceller`].
#[derive(Clone)]
pub struct Canceller(Arc<Inner>);

impl Canceller {
    /// The running call, or else the next one that computes, fails with `Status::Cancelled` within one layer's time, and
    /// so do all that follow until a prompt, rewind or restore.
    pub fn cancel(&self) {
        unsafe { sys::ponder_session_cancel(self.0.raw) }
    }
}

type SamplerFn = dyn FnMut(&mut [f32]) -> Option<i32> + Send;

unsafe extern "C" fn on_sample(user_data: *mut c_void, logits: *mut f32, n: usize, out_id: *mut i32) -> i32 {
    let chosen = Host::<Box<SamplerFn>>::run(user_data, |f| f(std::slice::from_raw_parts_mut(logits, n)));
    if let Some(Some(id)) = chosen {
        *out_id = id;
    }
    i32::from(chosen.is_none())
}

type Prefill<'a> = &'a mut dyn FnMut(usize, usize) -> bool;

unsafe extern "C" fn on_prefill(user_data: *mut c_void, done: usize, total: usize) -> i32 {
    stop_unless(Host::<Prefill>::run(user_data, |progress| progress(done, total)))
}

/// One conversation with a model.
pub struct Session {
    inner: Arc<Inner>,
    model: Model,
    params: GenerateParams,                       // as set, without the sampler
    sampler: Option<Box<Host<Box<SamplerFn>>>>,   // boxed: the library has its address
    _one_thread_at_a_time: PhantomData<Cell<()>>, // Send, not Sync
}

/// Which vectors to make of texts.
#[derive(Clone, Copy, Debug, Default)]
pub struct EmbedOptions {
    pub pooling: Pooling,
    /// Each vector to length 1.
    pub normalize: bool,
    /// Texts only: added tokens in the text become their ids.
    pub special: bool,
}

/// What to look at; "logits" come always.
#[derive(Clone, Copy, Debug, Default)]
pub struct EvaluateOptions<'a> {
    /// Logits of the last position only.
    pub last: bool,
    pub hidden: bool,
    pub moe: bool,
    /// The token behind each position: also "mtp.logits".
    pub mtp_next_ids: Option<&'a [i32]>,
}

#[derive(Clone, Debug, PartialEq)]
pub enum TensorData {
    F32(Vec<f32>),
    I32(Vec<i32>),
}

/// Row-major.
#[derive(Clone, Debug, PartialEq)]
pub struct Tensor {
    pub shape: Vec<i64>,
    pub data: TensorData,
}

impl Session {
    pub fn new(model: &Model, params: &SessionParams) -> Result<Session> {
        let runtime = model.runtime().raw();
        params.with_raw(|params| {
            Session::of(model, |out, err| unsafe {
                sys::ponder_session_create(runtime, model.raw(), params, out, err)
            })
        })
    }

    fn of(
        model: &Model,
        f: impl FnOnce(*mut *mut sys::ponder_session, *mut sys::ponder_error) -> sys::ponder_status,
    ) -> Result<Session> {
        Ok(Session {
            inner: Arc::new(Inner { raw: handle(f)?, _model: model.clone(), adapters: Mutex::default() }),
            model: model.clone(),
            params: GenerateParams::default(),
            sampler: None,
            _one_thread_at_a_time: PhantomData,
        })
    }

    pub(crate) fn raw(&self) -> *mut sys::ponder_session {
        self.inner.raw
    }

    pub fn model(&self) -> &Model {
        &self.model
    }

    /// For other threads; it may outlive the session.
    pub fn canceller(&self) -> Canceller {
        Canceller(self.inner.clone())
    }

    pub fn cancel(&self) {
        unsafe { sys::ponder_session_cancel(self.raw()) }
    }

    /// A call that computes: a panic of the sampler goes on when it has returned.
    fn compute(&mut self, f: impl FnOnce(*mut sys::ponder_error) -> sys::ponder_status) -> Result<sys::ponder_status> {
        let status = check(f);
        self.resume();
        status
    }

    pub(crate) fn resume(&mut self) {
        if let Some(sampler) = &mut self.sampler {
            sampler.resume();
        }
    }

    // ---- Settings

    /// Sampling and limits of what follows; the sampler stays.
    pub fn set_params(&mut self, params: &GenerateParams) -> Result<()> {
        let sampler = self.sampler.as_mut().map_or(ptr::null_mut(), |sampler| sampler.user_data());
        params.with_raw(|raw| {
            if !sampler.is_null() {
                raw.sampler = Some(on_sample);
                raw.sampler_user_data = sampler;
            }
            check(|err| unsafe { sys::ponder_session_set_params(self.raw(), raw, err) })
        })?;
        self.params = params.clone();
        Ok(())
    }

    /// What is set. Fields that were 0 hold the value used.
    pub fn params(&mut self) -> Result<GenerateParams> {
        let mut raw = sys::ponder_generate_params::default();
        check(|err| unsafe { sys::ponder_session_get_params(self.raw(), &mut raw, err) })?;
        // SAFETY: the session's arrays, until the next call on it.
        Ok(unsafe { GenerateParams::of(&raw) })
    }

    /// A sampler of the host's: it sees the logits, may change them, and may choose an id. Forks have none.
    pub fn set_sampler(&mut self, sampler: impl FnMut(&mut [f32]) -> Option<i32> + Send + 'static) -> Result<()> {
        let before = self.sampler.replace(Box::new(Host::new(Box::new(sampler) as Box<SamplerFn>)));
        let result = self.set_params(&self.params.clone());
        if result.is_err() {
            self.sampler = before; // which the library still has
        }
        result
    }

    pub fn clear_sampler(&mut self) -> Result<()> {
        let before = self.sampler.take();
        let result = self.set_params(&self.params.clone());
        if result.is_err() {
            self.sampler = before;
        }
        result
    }

    /// The LoRA adapters and their scales from here on, in place of those before; none: the model itself. What was computed
    /// with others is computed anew when it is needed.
    pub fn set_adapters(&mut self, adapters: &[(&Adapter, f32)]) -> Result<()> {
        let uses: Vec<_> = adapters
            .iter()
            .map(|&(adapter, scale)| sys::ponder_adapter_use { adapter: adapter.raw(), scale, flags: 0 })
            .collect();
        check(|err| unsafe { sys::ponder_session_set_adapters(self.raw(), uses.as_ptr(), uses.len(), err) })?;
        let kept = adapters.iter().map(|&(adapter, _)| adapter.clone()).collect();
        *self.inner.adapters.lock().unwrap_or_else(|poisoned| poisoned.into_inner()) = kept;
        Ok(())
    }

    /// The answers from here on stay within a GBNF grammar, a regular expression or a JSON Schema; `None`: no grammar.
    pub fn set_grammar(&mut self, grammar: Option<Grammar<'_>>) -> Result<()> {
        let (kind, text) = match grammar {
            None => (sys::PONDER_GRAMMAR_NONE, ""),
            Some(Grammar::Gbnf(text)) => (sys::PONDER_GRAMMAR_GBNF, text),
            Some(Grammar::Regex(text)) => (sys::PONDER_GRAMMAR_REGEX, text),
            Some(Grammar::JsonSchema(text)) => (sys::PONDER_GRAMMAR_JSON_SCHEMA, text),
        };
        check(|err| unsafe { sys::ponder_session_set_grammar(self.raw(), kind, text.as_ptr().cast(), text.len(), err) })
            .map(drop)
    }

    // ---- Prompts. Each sets the whole conversation; what is computed already is reused.

    /// A message of the user, a list of [`crate::Message`]s, or JSON.
    pub fn prompt(&mut self, messages: impl Into<Messages>) -> Result<()> {
        self.prompt_chat(messages, &ChatOptions::default(), None)
    }

    /// progress gets the tokens computed and in all, and returns false to stop.
    pub fn prompt_chat(
        &mut self,
        messages: impl Into<Messages>,
        options: &ChatOptions,
        progress: Option<&mut dyn FnMut(usize, usize) -> bool>,
    ) -> Result<()> {
        let json = messages.into().json;
        let (kwargs, kwargs_len) = options.kwargs();
        let flags = options.flags();
        self.prefill(progress, |session, on_progress, data, err| unsafe {
            sys::ponder_session_prompt_chat(
                session,
                text_ptr(&json),
                json.len(),
                kwargs,
                kwargs_len,
                flags,
                on_progress,
                data,
                err,
            )
        })
    }

    /// One message of the user, as ponder_session_prompt takes it.
    pub fn prompt_user(&mut self, text: &str) -> Result<()> {
        let session = self.raw();
        self.compute(|err| unsafe { sys::ponder_session_prompt(session, text_ptr(text), text.len(), err) })?;
        Ok(())
    }

    /// A raw prompt without a template. special: added tokens in the text become their ids.
    pub fn prompt_text(
        &mut self,
        text: &str,
        special: bool,
        progress: Option<&mut dyn FnMut(usize, usize) -> bool>,
    ) -> Result<()> {
        let flags = if special { sys::PONDER_ENCODE_SPECIAL } else { 0 };
        self.prefill(progress, |session, on_progress, data, err| unsafe {
            sys::ponder_session_prompt_text(session, text_ptr(text), text.len(), flags, on_progress, data, err)
        })
    }

    pub fn prompt_ids(&mut self, ids: &[i32], progress: Option<&mut dyn FnMut(usize, usize) -> bool>) -> Result<()> {
        self.prefill(progress, |session, on_progress, data, err| unsafe {
            sys::ponder_session_prompt_ids(session, ids.as_ptr(), ids.len(), on_progress, data, err)
        })
    }

    /// Adds ids behind what is there; all of it is the prompt of the next reply.
    pub fn append_ids(&mut self, ids: &[i32], progress: Option<&mut dyn FnMut(usize, usize) -> bool>) -> Result<()> {
        self.prefill(progress, |session, on_progress, data, err| unsafe {
            sys::ponder_session_append_ids(session, ids.as_ptr(), ids.len(), on_progress, data, err)
        })
    }

    fn prefill(
        &mut self,
        progress: Option<&mut dyn FnMut(usize, usize) -> bool>,
        f: impl FnOnce(
            *mut sys::ponder_session,
            Option<sys::ponder_prefill_fn>,
            *mut c_void,
            *mut sys::ponder_error,
        ) -> sys::ponder_status,
    ) -> Result<()> {
        let session = self.raw();
        let mut host = progress.map(Host::new);
        let data = host.as_mut().map_or(ptr::null_mut(), Host::user_data);
        let on_progress = host.as_ref().map(|_| on_prefill as sys::ponder_prefill_fn);
        let result = self.compute(|err| f(session, on_progress, data, err));
        if let Some(host) = &mut host {
            host.resume();
        }
        result.map(|_| ())
    }

    /// The ids that prompt_chat would use.
    pub fn chat_ids(&self, messages: impl Into<Messages>, options: &ChatOptions) -> Result<Vec<i32>> {
        let json = messages.into().json;
        let (kwargs, kwargs_len) = options.kwargs();
        list(|ids, capacity, count, err| unsafe {
            let (raw, flags) = (self.raw(), options.flags());
            let (text, len) = (text_ptr(&json), json.len());
            sys::ponder_session_chat_ids(raw, text, len, kwargs, kwargs_len, flags, ids, capacity, count, err)
        })
    }

    // ---- The reply

    /// The next token of the reply; None when it is complete.
    pub fn next_event(&mut self) -> Result<Option<Event>> {
        let session = self.raw();
        let mut raw = sys::ponder_token_event::default();
        let status = self.compute(|err| unsafe { sys::ponder_session_next(session, &mut raw, err) })?;
        // SAFETY: no call came since.
        Ok((status == sys::PONDER_OK).then(|| unsafe { Event::of(&raw) }))
    }

    /// As next_event, but Pending after about the budget; call again to go on.
    pub fn step(&mut self, budget: Duration) -> Result<Step<Event>> {
        let session = self.raw();
        let mut raw = sys::ponder_token_event::default();
        let us = i64::try_from(budget.as_micros()).unwrap_or(i64::MAX);
        let status = self.compute(|err| unsafe { sys::ponder_session_step(session, us, &mut raw, err) })?;
        Ok(match status {
            sys::PONDER_OK => Step::Ready(unsafe { Event::of(&raw) }),
            sys::PONDER_PENDING => Step::Pending,
            _ => Step::End,
        })
    }

    /// The events of the reply; the last item is an error, if there is one.
    pub fn events(&mut self) -> Events<'_> {
        Events { session: self, over: false }
    }

    /// The rest of the reply. on_event may break to stop; a later call then goes on.
    pub fn generate(&mut self, on_event: impl FnMut(&Event) -> ControlFlow<()>) -> Result<Reply> {
        struct Collector<F> {
            on_event: F,
            reply: Reply,
            stopped: bool,
        }
        unsafe extern "C" fn on_token<F: FnMut(&Event) -> ControlFlow<()>>(
            user_data: *mut c_void,
            raw: *const sys::ponder_token_event,
        ) -> i32 {
            stop_unless(Host::<Collector<F>>::run(user_data, |collector| {
                let event = Event::of(&*raw);
                let reply = &mut collector.reply;
                reply.tokens.push(event.id);
                let text = if event.channel == Channel::Thinking { &mut reply.thinking } else { &mut reply.answer };
                text.push_str(&event.text);
                collector.stopped = (collector.on_event)(&event).is_break();
                !collector.stopped
            }))
        }
        fn pointer<F: FnMut(&Event) -> ControlFlow<()>>(_: &Host<Collector<F>>) -> sys::ponder_token_fn {
            on_token::<F>
        }
        let reply = Reply { thinking: String::new(), answer: String::new(), finish: Finish::None, tokens: Vec::new() };
        let mut host = Host::new(Collector { on_event, reply, stopped: false });
        let (session, function, data) = (self.raw(), pointer(&host), host.user_data());
        let result =
            self.compute(|err| unsafe { sys::ponder_session_generate(session, Some(function), data, err) });
        host.resume();
        let collector = host.into_inner();
        match result {
            Err(error) if !(collector.stopped && error.status() == crate::Status::Cancelled) => Err(error),
            _ => Ok(Reply { finish: self.finish_reason(), ..collector.reply }),
        }
    }

    /// prompt and generate.
    pub fn ask(&mut self, messages: impl Into<Messages>) -> Result<Reply> {
        self.prompt(messages)?;
        self.generate(|_| ControlFlow::Continue(()))
    }

    pub fn finish_reason(&self) -> Finish {
        Finish::of(unsafe { sys::ponder_session_finish_reason(self.raw()) })
    }

    /// The channel that the next token belongs to.
    pub fn next_channel(&self) -> Channel {
        Channel::of(unsafe { sys::ponder_session_next_channel(self.raw()) })
    }

    // ---- State

    /// A second session with the same content, settings and random state, sharing the common prefix; without the sampler.
    pub fn fork(&self) -> Result<Session> {
        let mut other = Session::of(&self.model, |out, err| unsafe { sys::ponder_session_fork(self.raw(), out, err) })?;
        if self.sampler.is_some() {
            other.set_params(&self.params)?; // takes the sampler, which is this session's, away
        }
        other.params = self.params.clone();
        let adapters = self.inner.adapters.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).clone();
        *other.inner.adapters.lock().unwrap_or_else(|poisoned| poisoned.into_inner()) = adapters;
        Ok(other)
    }

    /// Keeps the first n_tokens tokens; decoding goes on from there, also after a cancel.
    pub fn rewind(&mut self, n_tokens: usize) -> Result<()> {
        check(|err| unsafe { sys::ponder_session_rewind(self.raw(), n_tokens, err) }).map(|_| ())
    }

    pub fn save(&self) -> Result<Vec<u8>> {
        bytes(|out, err| unsafe { sys::ponder_session_save(self.raw(), out, err) })
    }

    pub fn save_file(&self, path: impl AsRef<Path>) -> Result<()> {
        let path = c_path(path.as_ref())?;
        check(|err| unsafe { sys::ponder_session_save_file(self.raw(), c_ptr(path.as_ptr()), err) }).map(|_| ())
    }

    pub fn restore(&mut self, state: &[u8]) -> Result<()> {
        let data = state.as_ptr() as *const c_void;
        check(|err| unsafe { sys::ponder_session_restore(self.raw(), data, state.len(), err) })?;
        self.params = self.params()?;
        Ok(())
    }

    pub fn restore_file(&mut self, path: impl AsRef<Path>) -> Result<()> {
        let path = c_path(path.as_ref())?;
        check(|err| unsafe { sys::ponder_session_restore_file(self.raw(), c_ptr(path.as_ptr()), err) })?;
        self.params = self.params()?;
        Ok(())
    }

    /// All token ids, prompt and reply.
    pub fn tokens(&self) -> Result<Vec<i32>> {
        list(|ids, capacity, count, err| unsafe { sys::ponder_session_tokens(self.raw(), ids, capacity, count, err) })
    }

    pub fn stats(&self) -> Result<SessionStats> {
        let mut raw = sys::ponder_session_stats::default();
        check(|err| unsafe { sys::ponder_session_get_stats(self.raw(), &mut raw, err) })?;
        Ok(SessionStats {
            context_length: raw.context_length,
            n_tokens: raw.n_tokens,
            prompt_tokens: raw.prompt_tokens,
            reused_tokens: raw.reused_tokens,
            thinking_tokens: raw.thinking_tokens,
            answer_tokens: raw.answer_tokens,
            forced_tokens: raw.forced_tokens,
            kv_bytes: raw.kv_bytes,
            scratch_bytes: raw.scratch_bytes,
            prefill_ms: raw.prefill_ms,
            decode_ms: raw.decode_ms,
        })
    }

    // ---- Numbers

    /// [vocab_size] of the last position, before temperature and penalties.
    pub fn logits(&mut self) -> Result<Vec<f32>> {
        let session = self.raw();
        let mut out = vec![0.0; self.model.info()?.vocab_size as usize];
        self.compute(|err| unsafe { sys::ponder_session_logits(session, out.as_mut_ptr(), out.len(), err) })?;
        Ok(out)
    }

    /// The n likeliest next tokens, best first.
    pub fn top_logprobs(&mut self, n: usize) -> Result<Vec<Logprob>> {
        let session = self.raw();
        let mut out = vec![sys::ponder_logprob { id: 0, logprob: 0.0 }; n];
        self.compute(|err| unsafe { sys::ponder_session_top_logprobs(session, out.as_mut_ptr(), n, err) })?;
        Ok(out.iter().map(|one| Logprob { id: one.id, logprob: one.logprob }).collect())
    }

    /// log p of each token given those before it; the first is 0.
    pub fn prompt_logprobs(&mut self) -> Result<Vec<f32>> {
        let session = self.raw();
        let mut out = vec![0.0; self.tokens()?.len()];
        self.compute(|err| unsafe {
            sys::ponder_session_prompt_logprobs(session, out.as_mut_ptr(), out.len(), err)
        })?;
        Ok(out)
    }

    /// One vector per text.
    pub fn embed_texts(&mut self, texts: &[&str], options: EmbedOptions) -> Result<Vec<Vec<f32>>> {
        let raw: Vec<_> = texts.iter().map(|t| sys::ponder_text { data: text_ptr(t), size: t.len() }).collect();
        self.embed(texts.len(), options, |session, pooling, flags, out, capacity, count, err| unsafe {
            sys::ponder_session_embed_texts(session, raw.as_ptr(), raw.len(), pooling, flags, out, capacity, count, err)
        })
    }

    /// One vector per list of token ids.
    pub fn embed_ids(&mut self, inputs: &[&[i32]], options: EmbedOptions) -> Result<Vec<Vec<f32>>> {
        let ids = inputs.concat();
        let lengths: Vec<usize> = inputs.iter().map(|input| input.len()).collect();
        self.embed(inputs.len(), options, |session, pooling, flags, out, capacity, count, err| unsafe {
            let (n, ids, lengths) = (lengths.len(), ids.as_ptr(), lengths.as_ptr());
            sys::ponder_session_embed_ids(session, ids, lengths, n, pooling, flags, out, capacity, count, err)
        })
    }

    fn embed(
        &mut self,
        n: usize,
        options: EmbedOptions,
        f: impl FnOnce(
            *mut sys::ponder_session,
            sys::ponder_pooling,
            u32,
            *mut f32,
            usize,
            *mut usize,
            *mut sys::ponder_error,
        ) -> sys::ponder_status,
    ) -> Result<Vec<Vec<f32>>> {
        let (session, hidden_size) = (self.raw(), self.model.info()?.hidden_size as usize);
        let pooling = match options.pooling {
            Pooling::Mean => sys::PONDER_POOLING_MEAN,
            Pooling::Last => sys::PONDER_POOLING_LAST,
        };
        let flags = (if options.normalize { sys::PONDER_EMBED_NORMALIZE } else { 0 })
            | (if options.special { sys::PONDER_EMBED_SPECIAL } else { 0 });
        let mut out = vec![0.0; n * hidden_size];
        let mut count = 0;
        self.compute(|err| f(session, pooling, flags, out.as_mut_ptr(), out.len(), &mut count, err))?;
        Ok(out.chunks(hidden_size.max(1)).map(|row| row.to_vec()).collect())
    }

    /// A forward pass over ids in a cache of its own: tensors by name. Experimental.
    pub fn evaluate(&mut self, ids: &[i32], options: EvaluateOptions) -> Result<BTreeMap<String, Tensor>> {
        unsafe extern "C" fn on_tensor(
            user_data: *mut c_void,
            name: *const sys::c_char,
            dtype: sys::ponder_dtype,
            data: *const c_void,
            shape: *const i64,
            n_dims: i32,
        ) -> i32 {
            stop_unless(Host::<BTreeMap<String, Tensor>>::run(user_data, |tensors| {
                let name = CStr::from_ptr(name as *const _).to_string_lossy().into_owned();
                let shape = slice(shape, n_dims as usize).to_vec();
                let n = shape.iter().product::<i64>() as usize;
                let data = if dtype == sys::PONDER_DTYPE_I32 {
                    TensorData::I32(slice(data as *const i32, n).to_vec())
                } else {
                    TensorData::F32(slice(data as *const f32, n).to_vec())
                };
                tensors.insert(name, Tensor { shape, data });
                true
            }))
        }
        if options.mtp_next_ids.map_or(false, |next| next.len() != ids.len()) {
            return Err(Error::invalid_argument("mtp_next_ids and ids are not of one length"));
        }
        let flags = (if options.last { sys::PONDER_EVALUATE_LAST } else { 0 })
            | (if options.hidden { sys::PONDER_EVALUATE_HIDDEN } else { 0 })
            | (if options.moe { sys::PONDER_EVALUATE_MOE } else { 0 });
        let next = options.mtp_next_ids.map_or(ptr::null(), |next| next.as_ptr());
        let mut host = Host::new(BTreeMap::new());
        let (session, data) = (self.raw(), host.user_data());
        let result = self.compute(|err| unsafe {
            sys::ponder_session_evaluate(session, ids.as_ptr(), ids.len(), next, flags, Some(on_tensor), data, err)
        });
        host.resume();
        result.map(|_| host.into_inner())
    }
}

/// The events of a reply.
pub struct Events<'a> {
    session: &'a mut Session,
    over: bool,
}

impl Iterator for Events<'_> {
    type Item = Result<Event>;

    fn next(&mut self) -> Option<Result<Event>> {
        if self.over {
            return None;
        }
        let event = self.session.next_event().transpose();
        self.over = !matches!(event, Some(Ok(_)));
        event
    }
}

impl std::iter::FusedIterator for Events<'_> {}

/// One decode step of several sessions of one model in one forward pass: what next_event would return for each. The message
/// of an error is told for the first session that has one.
pub fn next_batch(sessions: &mut [&mut Session]) -> Result<Vec<Result<Option<Event>>>> {
    let raw: Vec<_> = sessions.iter().map(|session| session.raw()).collect();
    let mut events = vec![sys::ponder_token_event::default(); raw.len()];
    let mut statuses = vec![0; raw.len()];
    let mut err = sys::ponder_error { code: 0, message: [0; 508] };
    let status = unsafe {
        sys::ponder_session_next_batch(raw.as_ptr(), raw.len(), events.as_mut_ptr(), statuses.as_mut_ptr(), &mut err)
    };
    sessions.iter_mut().for_each(|session| session.resume());
    if status < 0 {
        return Err(error_of(status, &err));
    }
    let mut first = true;
    let result = |(event, &status): (&sys::ponder_token_event, &sys::ponder_status)| match status {
        sys::PONDER_OK => Ok(Some(unsafe { Event::of(event) })),
        status if status > 0 => Ok(None),
        status if std::mem::take(&mut first) => Err(error_of(status, &err)),
        status => Err(Error::new(status, "")),
    };
    Ok(events.iter().zip(&statuses).map(result).collect())
}

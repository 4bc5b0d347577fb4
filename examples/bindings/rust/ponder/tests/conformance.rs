//! Every case of ../../../conformance/conformance.json through this crate: the same tokens, texts and errors as through C.

mod json;

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::time::Duration;

use json::Json;
use ponder::{
    Adapter, Batch, BatchOptions, Channel, ChatOptions, ChatTemplate, Compute, EmbedOptions, EncodeOptions, Error, EvaluateOptions,
    Event, Finish, GenerateParams, ImatrixOptions, KvType, LoadOptions, MemoryFile, Messages, Model, Pooling,
    QuantizeOptions, Runtime, RuntimeOptions, Session, SessionParams, Step, Tokenizer,
};

type Got = BTreeMap<String, Json>;

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(4).unwrap().to_path_buf()
}

fn channel_name(channel: Channel) -> &'static str {
    match channel {
        Channel::Thinking => "thinking",
        Channel::Answer => "answer",
    }
}

fn finish_name(finish: Finish) -> String {
    format!("{finish:?}").to_lowercase()
}

fn event_json(event: &Event) -> Json {
    let parts: [Json; 4] =
        [event.id.into(), channel_name(event.channel).into(), event.forced.into(), event.text.as_str().into()];
    Json::List(parts.to_vec())
}

/// The objects of one case.
struct Case {
    repository: String,
    temporary: String,
    runtime: Runtime,
    model: Model,
    sessions: HashMap<String, Session>,
    states: HashMap<String, Vec<u8>>,
    adapters: HashMap<String, Adapter>,
    got: Got,
}

struct In<'a>(&'a Json);

impl<'a> In<'a> {
    fn has(&self, key: &str) -> bool {
        self.0.get(key).is_some()
    }
    fn at(&self, key: &str) -> &'a Json {
        self.0.get(key).unwrap_or_else(|| panic!("{:?} has no {key}", self.0))
    }
    fn str(&self, key: &str) -> &'a str {
        self.at(key).str()
    }
    fn int<T: TryFrom<i128>>(&self, key: &str) -> T {
        let value = self.0.get(key).map_or(0, Json::int);
        T::try_from(value).ok().expect("an integer in range")
    }
    fn f32(&self, key: &str) -> f32 {
        self.0.get(key).map_or(0.0, Json::f32)
    }
    fn flag(&self, key: &str, default: bool) -> bool {
        self.0.get(key).map_or(default, Json::bool)
    }
    fn ids(&self, key: &str) -> Vec<i32> {
        self.0.get(key).map_or(Vec::new(), |list| list.list().iter().map(|id| id.int() as i32).collect())
    }
    fn strings(&self, key: &str) -> Vec<String> {
        self.0.get(key).map_or(Vec::new(), |list| list.list().iter().map(|s| s.str().into()).collect())
    }
}

fn session_params(step: &In) -> SessionParams {
    SessionParams {
        context_length: step.int("context_length"),
        prefill_chunk: step.int("prefill_chunk"),
        threads: step.int("threads"),
        defer_prefill: step.flag("defer_prefill", false),
        prompt_cache_bytes: 0,
        prompt_cache_min_tokens: step.int("prompt_cache_min_tokens"),
        prompt_cache: None,
        compute: Compute::Exact,
        kv_type: step.0.get("kv_type").map(|name| match name.str() {
            "f32" => KvType::F32,
            "f16" => KvType::F16,
            "bf16" => KvType::Bf16,
            "q8_0" => KvType::Q8_0,
            "fp8" => KvType::Fp8,
            other => panic!("kv_type {other}"),
        }),
    }
}

fn generate_params(step: &In) -> GenerateParams {
    GenerateParams {
        max_new_tokens: step.int("max_new_tokens"),
        think_budget: step.int("think_budget"),
        context_keep: step.int("context_keep"),
        seed: step.int("seed"),
        temperature: step.f32("temperature"),
        top_k: step.int("top_k"),
        top_p: step.f32("top_p"),
        min_p: step.f32("min_p"),
        typical_p: step.f32("typical_p"),
        top_n_sigma: step.f32("top_n_sigma"),
        xtc_probability: step.f32("xtc_probability"),
        xtc_threshold: step.f32("xtc_threshold"),
        mirostat: step.int("mirostat"),
        mirostat_tau: step.f32("mirostat_tau"),
        mirostat_eta: step.f32("mirostat_eta"),
        repetition_penalty: step.f32("repetition_penalty"),
        presence_penalty: step.f32("presence_penalty"),
        frequency_penalty: step.f32("frequency_penalty"),
        penalty_last_n: step.int("penalty_last_n"),
        dry_multiplier: step.f32("dry_multiplier"),
        dry_base: step.f32("dry_base"),
        dry_allowed_length: step.int("dry_allowed_length"),
        dry_last_n: step.int("dry_last_n"),
        n_top_logprobs: step.int("n_top_logprobs"),
        ignore_eos: step.flag("ignore_eos", false),
        context_shift: step.flag("context_shift", false),
        logit_bias: step.0.get("logit_bias").map_or(Vec::new(), |list| {
            list.list().iter().map(|one| (one.list()[0].int() as i32, one.list()[1].f32())).collect()
        }),
        stop: step.strings("stop"),
        stop_ids: step.ids("stop_ids"),
    }
}

fn chat(step: &In) -> (Messages, ChatOptions) {
    let options = ChatOptions {
        kwargs_json: step.0.get("kwargs").map(Json::text),
        generation_prompt: step.flag("generation_prompt", true),
        trust_content: step.flag("trust_content", false),
    };
    (Messages::json(step.at("messages").text()), options)
}

impl Case {
    fn new(temporary: &Path) -> Case {
        let runtime = Runtime::with(RuntimeOptions { threads: 2, ..Default::default() }).unwrap();
        let tiny = repository().join("examples/models/ponder-tiny-r1");
        Case {
            repository: repository().to_str().unwrap().into(),
            temporary: temporary.to_str().unwrap().into(),
            model: Model::load_with(&runtime, tiny, LoadOptions::default()).unwrap(),
            runtime,
            sessions: HashMap::new(),
            states: HashMap::new(),
            adapters: HashMap::new(),
            got: Got::new(),
        }
    }

    fn path(&self, text: &str) -> String {
        text.replace("$TINY", &format!("{}/examples/models/ponder-tiny-r1", self.repository))
            .replace("$DATA", &format!("{}/tests/data", self.repository))
            .replace("$ADAPTER", &format!("{}/examples/bindings/conformance/adapter", self.repository))
            .replace("$TEMP", &self.temporary)
    }

    fn run(&mut self, step: &Json) -> Json {
        self.got.clear();
        let status = self.call(&In(step));
        match status {
            Ok(name) => self.tell("status", name),
            Err(error) => {
                self.tell("status", error.name());
                let message = error.message().replace(&self.repository, "$REPOSITORY").replace(&self.temporary, "$TEMP");
                self.tell("message", message);
            }
        }
        Json::Object(self.got.clone())
    }

    fn tell(&mut self, name: &str, value: impl Into<Json>) {
        self.got.insert(name.into(), value.into());
    }

    fn call(&mut self, step: &In) -> Result<&'static str, Error> {
        let name = step.0.get("session").map_or("a", Json::str);
        if step.str("do") == "session" {
            let mut params = session_params(step);
            params.prompt_cache = step.0.get("prompt_cache").map(|path| self.path(path.str()).into());
            let session = self.model.session(&params)?;
            self.sessions.insert(name.into(), session);
            return Ok("ok");
        }
        if let Some(mut session) = self.sessions.remove(name) {
            let result = self.call_on_session(step, &mut session);
            self.sessions.insert(name.into(), session);
            if let Some(status) = result? {
                return Ok(status);
            }
        }
        self.call_on_model(step)
    }

    /// None: it is not one of a session.
    fn call_on_session(&mut self, step: &In, session: &mut Session) -> Result<Option<&'static str>, Error> {
        match step.str("do") {
            "params" => session.set_params(&generate_params(step))?,
            "get_params" => self.tell_params(&session.params()?),
            "prompt" => session.prompt_user(step.str("text"))?,
            "prompt_chat" => {
                let (messages, options) = chat(step);
                session.prompt_chat(messages, &options, None)?
            }
            "chat_ids" => {
                let (messages, options) = chat(step);
                self.tell("ids", session.chat_ids(messages, &options)?)
            }
            "prompt_text" => session.prompt_text(step.str("text"), step.at("special").bool(), None)?,
            "prompt_ids" => session.prompt_ids(&step.ids("ids"), None)?,
            "append_ids" => session.append_ids(&step.ids("ids"), None)?,
            "next" => {
                let mut events = Vec::new();
                let mut status = Ok("ok");
                for _ in 0..step.int::<i32>("count") {
                    match session.next_event() {
                        Ok(Some(event)) => events.push(event_json(&event)),
                        Ok(None) => status = Ok("end"),
                        Err(error) => status = Err(error),
                    }
                    if !matches!(status, Ok("ok")) {
                        break;
                    }
                }
                self.tell("events", events);
                self.tell("finish", finish_name(session.finish_reason()));
                return status.map(Some);
            }
            "step" => {
                let mut ids = Vec::new();
                loop {
                    match session.step(Duration::from_micros(step.int("budget_us")))? {
                        Step::Ready(event) => ids.push(event.id),
                        Step::Pending => {}
                        Step::End => break,
                    }
                }
                self.tell("ids", ids);
                return Ok(Some("end"));
            }
            "generate" => {
                let mut seen = 0;
                let reply = session.generate(|_| {
                    seen += 1;
                    if seen == step.int::<i32>("stop_after") {
                        ControlFlow::Break(())
                    } else {
                        ControlFlow::Continue(())
                    }
                })?;
                self.tell("ids", reply.tokens);
                self.tell("thinking", reply.thinking);
                self.tell("answer", reply.answer);
                self.tell("finish", finish_name(reply.finish));
            }
            "cancel" => session.canceller().cancel(),
            "next_channel" => self.tell("channel", channel_name(session.next_channel())),
            "fork" => {
                self.sessions.insert(step.str("as").into(), session.fork()?);
            }
            "set_adapters" => {
                let scale = step.f32("scale");
                let names = step.strings("adapters");
                session.set_adapters(&names.iter().map(|name| (&self.adapters[name], scale)).collect::<Vec<_>>())?
            }
            "rewind" => session.rewind(step.int("n"))?,
            "save" => {
                self.states.insert(step.str("as").into(), session.save()?);
            }
            "save_file" => session.save_file(self.path(step.str("path")))?,
            "restore" => {
                let state = &self.states[step.str("state")];
                session.restore(if step.has("bytes") { &state[..step.int("bytes")] } else { state })?
            }
            "restore_file" => session.restore_file(self.path(step.str("path")))?,
            "tokens" => self.tell("ids", session.tokens()?),
            "stats" => {
                let stats = session.stats()?;
                self.tell("context_length", stats.context_length);
                self.tell("n_tokens", stats.n_tokens);
                self.tell("prompt_tokens", stats.prompt_tokens);
                self.tell("reused_tokens", stats.reused_tokens);
                self.tell("thinking_tokens", stats.thinking_tokens);
                self.tell("answer_tokens", stats.answer_tokens);
                self.tell("forced_tokens", stats.forced_tokens);
            }
            "logits" => {
                let logits = session.logits()?;
                self.tell("size", logits.len());
                self.tell("first", logits[..8].to_vec());
            }
            "top_logprobs" => {
                let top = session.top_logprobs(step.int("n"))?;
                let pair = |id: i32, logprob: f32| Json::List(vec![id.into(), logprob.into()]);
                self.tell("top", top.iter().map(|one| pair(one.id, one.logprob)).collect::<Vec<_>>());
            }
            "prompt_logprobs" => self.tell("logprobs", session.prompt_logprobs()?),
            "embed" => {
                let options = EmbedOptions {
                    pooling: match step.0.get("pooling").map(Json::str) {
                        Some("last") => Pooling::Last,
                        _ => Pooling::Mean,
                    },
                    normalize: step.flag("normalize", false),
                    special: false,
                };
                let vectors = if step.has("texts") {
                    let texts = step.strings("texts");
                    session.embed_texts(&texts.iter().map(String::as_str).collect::<Vec<_>>(), options)?
                } else {
                    let id = |id: &Json| id.int() as i32;
                    let inputs: Vec<Vec<i32>> =
                        step.at("inputs").list().iter().map(|input| input.list().iter().map(id).collect()).collect();
                    session.embed_ids(&inputs.iter().map(Vec::as_slice).collect::<Vec<_>>(), options)?
                };
                self.tell("hidden_size", vectors[0].len());
                self.tell("rows", vectors.iter().map(|row| row[..4].to_vec()).collect::<Vec<_>>());
            }
            "evaluate" => {
                let next = step.ids("mtp_next_ids");
                let options = EvaluateOptions {
                    last: step.flag("last", false),
                    hidden: step.flag("hidden", false),
                    moe: step.flag("moe", false),
                    mtp_next_ids: step.has("mtp_next_ids").then_some(&next[..]),
                };
                let tensors = session.evaluate(&step.ids("ids"), options)?;
                let shapes = tensors.into_iter().map(|(name, tensor)| (name, tensor.shape.into())).collect();
                self.tell("shapes", Json::Object(shapes));
            }
            _ => return Ok(None),
        }
        Ok(Some("ok"))
    }

    fn tell_params(&mut self, p: &GenerateParams) {
        macro_rules! tell { ($($name:ident)*) => { $(self.tell(stringify!($name), p.$name.clone());)* }; }
        tell! { max_new_tokens think_budget context_keep seed temperature top_k top_p min_p typical_p top_n_sigma
            xtc_probability xtc_threshold mirostat mirostat_tau mirostat_eta repetition_penalty presence_penalty
            frequency_penalty penalty_last_n dry_multiplier dry_base dry_allowed_length dry_last_n n_top_logprobs
            ignore_eos context_shift stop stop_ids }
        let bias = p.logit_bias.iter().map(|&(id, bias)| Json::List(vec![id.into(), bias.into()]));
        self.tell("logit_bias", bias.collect::<Vec<_>>());
    }

    fn loaded(&mut self, model: Model) -> Result<(), Error> {
        self.model = model;
        let info = self.model.info()?;
        self.tell("vocab_size", info.vocab_size);
        self.tell("hidden_size", info.hidden_size);
        self.tell("num_hidden_layers", info.num_hidden_layers);
        self.tell("n_parameters", info.n_parameters);
        self.tell("has_tokenizer", info.has_tokenizer);
        self.tell("has_chat_template", info.has_chat_template);
        self.tell("has_mtp", info.has_mtp);
        self.tell("fingerprint", info.fingerprint.to_string());
        let warnings = Json::parse(&self.model.load_report()?).list().len();
        self.tell("warnings", warnings);
        Ok(())
    }

    fn call_on_model(&mut self, step: &In) -> Result<&'static str, Error> {
        match step.str("do") {
            "copy" => {
                let (from, to) = (self.path(step.str("from")), self.path(step.str("to")));
                fs::create_dir_all(&to).unwrap();
                for entry in fs::read_dir(from).unwrap() {
                    let entry = entry.unwrap();
                    fs::copy(entry.path(), Path::new(&to).join(entry.file_name())).unwrap();
                }
                let file = fs::OpenOptions::new().write(true).open(Path::new(&to).join(step.str("file"))).unwrap();
                file.set_len(step.int("bytes")).unwrap();
            }
            "load" | "load_memory" => {
                let mut refuse = |_: f32| false;
                let options = LoadOptions {
                    weight_type: step.0.get("weight_type").map(Json::str),
                    mtp: step.flag("mtp", true),
                    progress: if step.flag("progress_stops", false) { Some(&mut refuse) } else { None },
                    files: None,
                };
                let path = self.path(step.str("path"));
                let model = if step.str("do") == "load" {
                    Model::load_with(&self.runtime, path, options)?
                } else {
                    let file = |name: String| MemoryFile {
                        data: fs::read(Path::new(&path).join(&name)).unwrap().into(),
                        name,
                    };
                    Model::from_memory(&self.runtime, step.strings("files").into_iter().map(file).collect(), options)?
                };
                self.loaded(model)?;
            }
            "adapter" => {
                let adapter = Adapter::load(&self.model, self.path(step.str("path")))?;
                let info = adapter.info()?;
                self.tell("max_rank", info.max_rank);
                self.tell("n_weights", info.n_weights);
                self.tell("n_parameters", info.n_parameters);
                self.tell("fingerprint", info.fingerprint.to_string());
                self.adapters.insert(step.str("as").into(), adapter);
            }
            "random" => {
                let config = fs::read_to_string(self.path(step.str("config"))).unwrap();
                self.loaded(Model::random(&self.runtime, &config, step.str("dtype"), 0, step.int("seed"))?)?;
            }
            "plan" => {
                let plan = self.model.plan(&session_params(step))?;
                self.tell("context_length", plan.context_length);
                self.tell("weight_bytes", plan.weight_bytes);
                self.tell("kv_bytes", plan.kv_bytes);
            }
            "generate_params" => self.tell_params(&self.model.generate_params()?),
            "eos_ids" => self.tell("ids", self.model.eos_ids()?),
            "inspect" => {
                let report = ponder::inspect(self.path(step.str("path")), &SessionParams::default(), None)?;
                self.tell("architecture", Json::parse(&report).get("architecture").unwrap().str());
            }
            "resolve" => {
                let path = ponder::resolve(&self.path(step.str("name")))?;
                self.tell("path", path.replace(&self.repository, "$REPOSITORY"));
            }
            "quantize" => {
                let options = QuantizeOptions { weight_type: Some(step.str("type")), ..Default::default() };
                let (path, to) = (self.path(step.str("path")), self.path(step.str("to")));
                let report = ponder::quantize(&self.runtime, path, to, options)?;
                self.tell("n_tensors", Json::parse(&report).get("n_tensors").unwrap().int() as u64);
            }
            "imatrix" => {
                let options = ImatrixOptions { chunk_tokens: step.int("chunk_tokens"), ..Default::default() };
                let report = self.model.imatrix(step.str("text"), self.path(step.str("to")), options)?;
                self.tell("n_chunks", Json::parse(&report).get("n_chunks").unwrap().int() as u64);
            }
            "runtime" => {
                let runtime = Runtime::with(RuntimeOptions {
                    threads: step.int("threads"),
                    max_isa: step.0.get("max_isa").map(|isa| isa.str().into()),
                    memory_limit: step.int("memory_limit"),
                    ..Default::default()
                })?;
                self.tell("isa", runtime.isa());
                self.tell("threads", runtime.threads());
                self.tell("limit_bytes", runtime.memory()?.limit_bytes);
            }
            "next_batch" => {
                let names = step.strings("sessions");
                let mut taken: Vec<Session> = names.iter().map(|name| self.sessions.remove(name).unwrap()).collect();
                let result = ponder::next_batch(&mut taken.iter_mut().collect::<Vec<_>>());
                self.sessions.extend(names.into_iter().zip(taken));
                let told = |event: &Result<Option<Event>, Error>| match event {
                    Ok(Some(event)) => event_json(event),
                    Ok(None) => "end".into(),
                    Err(error) => error.name().into(),
                };
                self.tell("events", result?.iter().map(told).collect::<Vec<_>>());
            }
            "batch" => {
                let options = BatchOptions { token_budget: step.int("token_budget"), threads: 0 };
                let mut batch = Batch::new(&self.model, options)?;
                let mut ids = BTreeMap::new();
                for name in step.strings("sessions") {
                    let session = self.sessions.remove(&name).unwrap();
                    let key = batch.add(session, 0).map_err(|(_, error)| error)?;
                    ids.insert(key, (name, Vec::new()));
                }
                while let Some(events) = batch.next_events()? {
                    for event in events {
                        if let Some(token) = event.event? {
                            ids.get_mut(&event.key).unwrap().1.push(token.id);
                        }
                    }
                }
                for (key, (name, ids)) in ids {
                    self.sessions.insert(name.clone(), batch.remove(key)?);
                    self.tell(&name, ids);
                }
                return Ok("end");
            }
            "render" => {
                let template = match step.0.get("template") {
                    Some(name) => ChatTemplate::builtin(name.str())?,
                    None => self.model.template()?,
                };
                let (messages, options) = chat(step);
                self.tell("text", template.render(messages, &options)?);
            }
            "template_load" => drop(ChatTemplate::load(self.path(step.str("path")))?),
            "tokenizer_load" => {
                let tokenizer = Tokenizer::load(self.path(step.str("path")))?;
                self.tell_tokenizer(&tokenizer)?;
            }
            "tokenizer_info" => self.tell_tokenizer(&self.model.tokenizer()?)?,
            "encode" => {
                let options = EncodeOptions { special: step.flag("special", false), bos: step.flag("bos", false) };
                self.tell("ids", self.model.tokenizer()?.encode(step.str("text"), options)?);
            }
            "decode" => {
                let text = self.model.tokenizer()?.decode(&step.ids("ids"), step.flag("skip_special", false))?;
                self.tell("text", text);
            }
            "find" => self.tell("id", self.model.tokenizer()?.find(step.str("text"))?),
            "token" => {
                let (bytes, flags) = self.model.tokenizer()?.token(step.int("id"))?;
                self.tell("bytes", bytes);
                self.tell("flags", flags);
            }
            other => panic!("a step does '{other}', which is not known"),
        }
        Ok("ok")
    }

    fn tell_tokenizer(&mut self, tokenizer: &Tokenizer) -> Result<(), Error> {
        let info = tokenizer.info()?;
        self.tell("n_ids", info.n_ids);
        self.tell("bos_token_id", info.bos_token_id);
        self.tell("eos_token_id", info.eos_token_id);
        self.tell("think_start_id", info.think_start_id);
        self.tell("think_end_id", info.think_end_id);
        self.tell("adds_bos", info.adds_bos);
        Ok(())
    }
}

#[test]
fn every_case_gives_what_the_c_abi_gives() {
    let path = repository().join("examples/bindings/conformance/conformance.json");
    let cases = Json::parse(&fs::read_to_string(path).unwrap());
    let temporary = std::env::temp_dir().join(format!("ponder-rust-{}", std::process::id()));
    let mut wrong = Vec::new();
    for case in cases.list() {
        let _ = fs::remove_dir_all(&temporary);
        fs::create_dir_all(&temporary).unwrap();
        let mut run = Case::new(&temporary);
        for (i, step) in case.get("steps").unwrap().list().iter().enumerate() {
            let (got, want) = (run.run(step), step.get("want").unwrap());
            if !got.alike(want) {
                let name = case.get("name").unwrap().str();
                wrong.push(format!("{name}, step {}\n  got    {}\n  wanted {}", i + 1, got.text(), want.text()));
            }
        }
    }
    fs::remove_dir_all(&temporary).unwrap();
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

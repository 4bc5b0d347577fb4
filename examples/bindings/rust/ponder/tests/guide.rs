//! What is Rust's own about the crate, and the programs of docs/rust.md.

use std::alloc::System;
use std::collections::HashMap;
use std::fs;
use std::io;
use std::ops::ControlFlow;
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{mpsc, Arc};
use std::thread;

use ponder::{
    Adapter, Batch, BatchEvent, BatchOptions, Canceller, Channel, ChatTemplate, Compute, EmbedOptions, FileSystem, Finish, GenerateParams, HostFile, LoadOptions,
    Message, Model, Runtime, RuntimeOptions, Session, SessionParams, Status, Tokenizer,
};

fn tiny() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(4).unwrap().join("examples/models/ponder-tiny-r1")
}

fn exact() -> SessionParams {
    SessionParams { compute: Compute::Exact, ..Default::default() }
}

fn session() -> Session {
    Model::load(tiny()).unwrap().session(&exact()).unwrap()
}

fn endless() -> GenerateParams {
    GenerateParams { ignore_eos: true, context_shift: true, temperature: 1.0, ..Default::default() }
}

#[test]
fn what_may_cross_threads_says_so() {
    fn send<T: Send>() {}
    fn sync<T: Sync>() {}
    send::<Runtime>();
    sync::<Runtime>();
    send::<Model>();
    sync::<Model>();
    send::<Tokenizer>();
    sync::<Tokenizer>();
    send::<ChatTemplate>();
    sync::<ChatTemplate>();
    send::<Session>(); // and not Sync, which no test can say
    send::<Canceller>();
    sync::<Canceller>();
}

#[test]
fn events_are_an_iterator_with_thinking_apart() -> ponder::Result<()> {
    // [docs/rust.md: streaming]
    let model = Model::load(tiny())?;
    let mut session = model.session(&SessionParams::default())?;
    session.prompt("What is 347+85?")?;
    let (mut thinking, mut answer) = (String::new(), String::new());
    for event in session.events() {
        let event = event?;
        match event.channel {
            Channel::Thinking => thinking.push_str(&event.text),
            Channel::Answer => answer.push_str(&event.text),
        }
    }
    // [docs/rust.md]
    assert!(thinking.ends_with("347+85=432\n"));
    assert_eq!(answer, "\\boxed{432}");
    assert_eq!(session.finish_reason(), Finish::Stop);
    Ok(())
}

#[test]
fn ask_gives_a_whole_reply_to_a_conversation() -> ponder::Result<()> {
    let mut session = session();
    // [docs/rust.md: ask]
    session.set_params(&GenerateParams { seed: 1, max_new_tokens: 200, ..GenerateParams::r1() })?;
    let messages = [Message::user("What is 3*7?")];
    let reply = session.ask(&messages)?;
    println!("{}", reply.answer);
    // [docs/rust.md]
    assert_eq!(reply.answer, "\\boxed{21}");
    Ok(())
}

#[test]
fn an_adapter_changes_what_the_model_says_until_it_is_taken_off() -> ponder::Result<()> {
    let model = Model::load(tiny())?;
    let mut session = model.session(&exact())?;
    session.set_params(&GenerateParams { max_new_tokens: 60, ..Default::default() })?;
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap().join("conformance/adapter");
    // [docs/rust.md: adapter]
    let adapter = Adapter::load(&model, folder)?;
    session.set_adapters(&[(&adapter, 25.0)])?; // 1.0: as it was trained
    let changed = session.ask("What is 3*7?")?;
    session.set_adapters(&[])?; // the model itself
    let reply = session.ask("What is 3*7?")?;
    // [docs/rust.md]
    assert!(!changed.thinking.contains("21"));
    assert_eq!(reply.answer, "\\boxed{21}");
    Ok(())
}

#[test]
fn a_batch_answers_two_questions_with_a_prompt_cache() -> ponder::Result<()> {
    let model = Model::load(tiny())?;
    let cache = std::env::temp_dir().join(format!("ponder-guide-cache-{}", std::process::id()));
    // [docs/rust.md: batch]
    let mut batch = Batch::new(&model, BatchOptions::default())?;
    let mut answers = HashMap::new();
    for question in ["What is 3*7?", "What is 347+85?"] {
        let mut session = model.session(&SessionParams {
            defer_prefill: true, // the batch computes the prompts
            prompt_cache: Some(cache.clone()),
            prompt_cache_min_tokens: 16,
            ..Default::default()
        })?;
        session.prompt(question)?;
        let key = batch.add(session, 0).map_err(|(_, error)| error)?;
        answers.insert(key, String::new());
    }
    while let Some(events) = batch.next_events()? {
        for BatchEvent { key, event } in events {
            match event? {
                Some(event) if event.channel == Channel::Answer => answers.get_mut(&key).unwrap().push_str(&event.text),
                _ => {}
            }
        }
    }
    // [docs/rust.md]
    let mut answers: Vec<_> = answers.into_values().collect();
    answers.sort();
    assert_eq!(answers, ["\\boxed{21}", "\\boxed{432}"]);
    assert_eq!(fs::read_dir(&cache).unwrap().count(), 2);
    let _ = fs::remove_dir_all(&cache);
    Ok(())
}

#[test]
fn a_canceller_stops_a_call_from_another_thread() {
    let mut session = session();
    session.set_params(&endless()).unwrap();
    session.prompt("What is 3+4?").unwrap();
    // [docs/rust.md: cancel]
    let canceller = session.canceller();
    let (started, wait) = mpsc::channel();
    let worker = thread::spawn(move || {
        let result = session.generate(|_| {
            let _ = started.send(());
            ControlFlow::Continue(())
        });
        (session, result)
    });
    wait.recv().unwrap();
    canceller.cancel();
    let (mut session, result) = worker.join().unwrap();
    assert_eq!(result.unwrap_err().status(), Status::Cancelled);
    // [docs/rust.md]
    session.set_params(&GenerateParams::default()).unwrap();
    assert_eq!(session.ask("What is 3*7?").unwrap().answer, "\\boxed{21}");
    drop(session);
    canceller.cancel(); // it may outlive the session
}

#[test]
fn a_panic_of_a_closure_goes_on_and_the_session_stays_usable() {
    let mut session = session();
    session.prompt("What is 3+4?").unwrap();
    let panicked = |f: &mut dyn FnMut()| catch_unwind(AssertUnwindSafe(f)).is_err();
    assert!(panicked(&mut || drop(session.generate(|_| panic!("on purpose")))));
    assert!(panicked(&mut || drop(session.prompt_text("3", false, Some(&mut |_, _| panic!("on purpose"))))));
    session.set_sampler(|_| panic!("on purpose")).unwrap();
    assert!(panicked(&mut || drop(session.ask("What is 3+4?"))));
    session.clear_sampler().unwrap();
    assert_eq!(session.ask("What is 3*7?").unwrap().answer, "\\boxed{21}");
    let mut refuse = |_: f32| panic!("on purpose");
    let options = LoadOptions { progress: Some(&mut refuse), ..Default::default() };
    assert!(catch_unwind(AssertUnwindSafe(|| Model::load_with(&Runtime::new().unwrap(), tiny(), options))).is_err());
}

#[test]
fn a_sampler_chooses_and_a_fork_has_none() {
    let mut session = session();
    let calls = Arc::new(AtomicUsize::new(0));
    let seen = calls.clone();
    session.set_sampler(move |logits| {
        seen.fetch_add(1, Ordering::Relaxed);
        logits[55] = f32::NEG_INFINITY;
        (seen.load(Ordering::Relaxed) == 1).then_some(56)
    }).unwrap();
    session.prompt("What is 347+85?").unwrap();
    assert_eq!(session.next_event().unwrap().unwrap().text, "8");
    let mut fork = session.fork().unwrap();
    drop(session);
    fork.next_event().unwrap();
    assert_eq!(calls.load(Ordering::Relaxed), 1);
}

#[test]
fn errors_have_a_status_and_a_message() {
    // [docs/rust.md: errors]
    match Model::load("/no/such/folder") {
        Err(error) if error.status() == Status::NotFound => eprintln!("{error}"),
        Err(error) => panic!("{}: {error}", error.name()),
        Ok(_) => panic!("it is there"),
    }
    // [docs/rust.md]
    let boxed: Box<dyn std::error::Error + Send + Sync> = Box::new(Model::load("/no/such/folder").err().unwrap());
    assert!(boxed.to_string().contains("/no/such/folder"));
    assert_eq!(Model::load("a\0b").err().unwrap().status(), Status::InvalidArgument);
}

#[test]
fn functions_of_a_runtime_live_as_long_as_its_sessions() {
    static USED: AtomicUsize = AtomicUsize::new(0);
    let runtime = Runtime::with(RuntimeOptions {
        threads: 2,
        executor: Some(Box::new(|n, task| {
            USED.fetch_add(1, Ordering::Relaxed);
            (0..n).for_each(task)
        })),
        log: Some(Box::new(|_, _| panic!("dropped"))),
        allocator: Some(&System),
        ..Default::default()
    })
    .unwrap();
    let model = Model::load_with(&runtime, tiny(), LoadOptions::default()).unwrap();
    let mut session = model.session(&exact()).unwrap();
    assert!(runtime.memory().unwrap().kv_bytes > 0);
    assert!(runtime.selftest().unwrap().contains("checks"));
    drop((runtime, model));
    assert_eq!(session.ask("What is 3*7?").unwrap().answer, "\\boxed{21}");
    assert!(USED.load(Ordering::Relaxed) > 0);
}

struct Archive {
    mapped: bool,
    open: Arc<AtomicUsize>,
}
struct Entry {
    bytes: Vec<u8>,
    mapped: bool,
    open: Arc<AtomicUsize>,
}
impl FileSystem for Archive {
    fn open(&self, name: &str) -> io::Result<Box<dyn HostFile>> {
        let bytes = fs::read(tiny().join(name.strip_prefix("models/tiny/").ok_or(io::ErrorKind::NotFound)?))?;
        self.open.fetch_add(1, Ordering::Relaxed);
        Ok(Box::new(Entry { bytes, mapped: self.mapped, open: self.open.clone() }))
    }
}
impl HostFile for Entry {
    fn size(&self) -> u64 {
        self.bytes.len() as u64
    }
    fn read_at(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        out.copy_from_slice(&self.bytes[offset as usize..][..out.len()]);
        Ok(())
    }
    fn map(&self) -> Option<&[u8]> {
        self.mapped.then_some(&self.bytes[..])
    }
}
impl Drop for Entry {
    fn drop(&mut self) {
        self.open.fetch_sub(1, Ordering::Relaxed);
    }
}

#[test]
fn a_model_lies_in_the_hosts_archive() {
    for mapped in [false, true] {
        let open = Arc::new(AtomicUsize::new(0));
        let files: Arc<dyn FileSystem> = Arc::new(Archive { mapped, open: open.clone() });
        let options = LoadOptions { files: Some(files.clone()), ..Default::default() };
        let model = Model::load_with(&Runtime::new().unwrap(), "models/tiny", options).unwrap();
        let mut session = model.session(&exact()).unwrap();
        drop(model);
        assert_eq!(session.ask("What is 3*7?").unwrap().answer, "\\boxed{21}");
        drop(session);
        assert_eq!(open.load(Ordering::Relaxed), 0);
        let tokenizer = Tokenizer::load_from(files.clone(), "models/tiny").unwrap();
        assert_eq!(tokenizer.find("<think>").unwrap(), 260);
        ChatTemplate::load_from(files.clone(), "models/tiny").unwrap();
        assert!(ponder::inspect("models/tiny", &exact(), Some(files.clone())).unwrap().contains("DeepseekV3"));
        let missing = LoadOptions { files: Some(files), ..Default::default() };
        let error = Model::load_with(&Runtime::new().unwrap(), "models/other", missing).err().unwrap();
        assert_eq!(error.status(), Status::NotFound);
    }
}

#[test]
fn embeddings_are_vectors() -> ponder::Result<()> {
    let mut session = session();
    let vectors = session.embed_texts(&["3+4", "347+85"], EmbedOptions { normalize: true, ..Default::default() })?;
    assert_eq!(vectors.len(), 2);
    assert!((vectors[0].iter().map(|x| x * x).sum::<f32>() - 1.0).abs() < 1e-5);
    Ok(())
}

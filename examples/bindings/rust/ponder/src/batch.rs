use std::collections::BTreeMap;
use std::ffi::CStr;
use std::time::Duration;

use ponder_sys as sys;

use crate::call::{check, handle};
use crate::{Error, Event, Model, Result, Session, Step};

/// A session in a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BatchKey(u64);

#[derive(Clone, Copy, Debug, Default)]
pub struct BatchOptions {
    /// Tokens of one step, 16 to 65536; 0: 256.
    pub token_budget: i32,
    /// 0: all of the runtime's.
    pub threads: i32,
}

/// A token of one session, None at the end of its reply, or its error.
#[derive(Debug)]
pub struct BatchEvent {
    pub key: BatchKey,
    pub event: Result<Option<Event>>,
}

/// Continuous batching: sessions of one model come and go; each step computes the next token of those that reply and a part
/// of the prompts that wait. It owns its sessions: make them with `defer_prefill`, prompt them, and add them.
pub struct Batch {
    raw: *mut sys::ponder_batch,
    sessions: BTreeMap<BatchKey, Session>,
    events: Vec<sys::ponder_batch_event>,
    last_key: u64,
    _model: Model,
}

impl Drop for Batch {
    fn drop(&mut self) {
        unsafe { sys::ponder_batch_free(self.raw) }
    }
}

// SAFETY: one thread at a time, which &mut self says; its sessions are Send.
unsafe impl Send for Batch {}

impl Batch {
    pub fn new(model: &Model, options: BatchOptions) -> Result<Batch> {
        let params = sys::ponder_batch_params {
            token_budget: options.token_budget,
            n_threads: options.threads,
            ..Default::default()
        };
        let runtime = model.runtime().raw();
        let raw = handle(|out, err| unsafe { sys::ponder_batch_create(runtime, model.raw(), &params, out, err) })?;
        Ok(Batch { raw, sessions: BTreeMap::new(), events: Vec::new(), last_key: 0, _model: model.clone() })
    }

    /// Greater priorities are served first, when the budget is not enough for all. With an error the session comes back.
    pub fn add(&mut self, session: Session, priority: i32) -> std::result::Result<BatchKey, (Session, Error)> {
        match check(|err| unsafe { sys::ponder_batch_add(self.raw, session.raw(), priority, err) }) {
            Err(error) => Err((session, error)),
            Ok(_) => {
                self.last_key += 1;
                let key = BatchKey(self.last_key);
                self.sessions.insert(key, session);
                Ok(key)
            }
        }
    }

    /// The session can go on alone or elsewhere, as it is.
    pub fn remove(&mut self, key: BatchKey) -> Result<Session> {
        let session = self.raw_of(key);
        check(|err| unsafe { sys::ponder_batch_remove(self.raw, session, err) })?;
        self.sessions.remove(&key).ok_or_else(|| Error::new(sys::PONDER_E_NOT_FOUND, "no such session in the batch"))
    }

    pub fn session(&self, key: BatchKey) -> Option<&Session> {
        self.sessions.get(&key)
    }

    /// Between two steps a session can be used in any way.
    pub fn session_mut(&mut self, key: BatchKey) -> Option<&mut Session> {
        self.sessions.get_mut(&key)
    }

    pub fn keys(&self) -> impl Iterator<Item = BatchKey> + '_ {
        self.sessions.keys().copied()
    }

    fn raw_of(&self, key: BatchKey) -> *mut sys::ponder_session {
        self.sessions.get(&key).map_or(std::ptr::null_mut(), |session| session.raw())
    }

    pub fn set_priority(&mut self, key: BatchKey, priority: i32) -> Result<()> {
        let session = self.raw_of(key);
        check(|err| unsafe { sys::ponder_batch_set_priority(self.raw, session, priority, err) }).map(|_| ())
    }

    /// A paused session gets nothing, not even events.
    pub fn set_paused(&mut self, key: BatchKey, paused: bool) -> Result<()> {
        let session = self.raw_of(key);
        check(|err| unsafe { sys::ponder_batch_set_paused(self.raw, session, paused.into(), err) }).map(|_| ())
    }

    /// One step: at most one event per session. None: no session has anything to do.
    pub fn next_events(&mut self) -> Result<Option<Vec<BatchEvent>>> {
        Ok(match self.run(|batch, out, capacity, count, err| unsafe {
            sys::ponder_batch_next(batch, out, capacity, count, err)
        })? {
            Step::Ready(events) => Some(events),
            _ => None,
        })
    }

    /// As next_events, but Pending after about the budget; call again to go on.
    pub fn step(&mut self, budget: Duration) -> Result<Step<Vec<BatchEvent>>> {
        let us = i64::try_from(budget.as_micros()).unwrap_or(i64::MAX);
        self.run(|batch, out, capacity, count, err| unsafe {
            sys::ponder_batch_step(batch, us, out, capacity, count, err)
        })
    }

    fn run(
        &mut self,
        f: impl FnOnce(
            *mut sys::ponder_batch,
            *mut sys::ponder_batch_event,
            usize,
            *mut usize,
            *mut sys::ponder_error,
        ) -> sys::ponder_status,
    ) -> Result<Step<Vec<BatchEvent>>> {
        self.events.clear();
        self.events.resize(self.sessions.len(), sys::ponder_batch_event::default());
        let mut count = 0;
        let status = check(|err| f(self.raw, self.events.as_mut_ptr(), self.events.len(), &mut count, err));
        self.sessions.values_mut().for_each(Session::resume);
        match status? {
            sys::PONDER_PENDING => return Ok(Step::Pending),
            sys::PONDER_OK => {}
            _ => return Ok(Step::End),
        }
        let keys: BTreeMap<_, _> = self.sessions.iter().map(|(&key, session)| (session.raw(), key)).collect();
        let event = |raw: &sys::ponder_batch_event| {
            let event = match raw.status {
                // SAFETY: valid until the next step, or call on the session.
                sys::PONDER_OK => Ok(Some(unsafe { Event::of(&*raw.token) })),
                status if status > 0 => Ok(None),
                status if raw.message.is_null() => Err(Error::new(status, "")),
                status => {
                    Err(Error::new(status, unsafe { CStr::from_ptr(raw.message as *const _) }.to_string_lossy()))
                }
            };
            keys.get(&raw.session).map(|&key| BatchEvent { key, event })
        };
        Ok(Step::Ready(self.events[..count.min(self.events.len())].iter().filter_map(event).collect()))
    }
}

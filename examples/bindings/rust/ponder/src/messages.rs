//! Messages of a chat as the JSON that the library takes.

use std::fmt::Write;

/// One message of a chat.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    pub role: String,
    pub content: String,
}

impl Message {
    pub fn new(role: impl Into<String>, content: impl Into<String>) -> Message {
        Message { role: role.into(), content: content.into() }
    }
    pub fn system(content: impl Into<String>) -> Message {
        Message::new("system", content)
    }
    pub fn user(content: impl Into<String>) -> Message {
        Message::new("user", content)
    }
    pub fn assistant(content: impl Into<String>) -> Message {
        Message::new("assistant", content)
    }
}

/// A conversation: from a `&str`, which is one message of the user, a list of [`Message`]s, or JSON.
#[derive(Clone, Debug)]
pub struct Messages {
    pub(crate) json: String,
}

impl Messages {
    /// An OpenAI message array, or an object with "messages" and "tools".
    pub fn json(json: impl Into<String>) -> Messages {
        Messages { json: json.into() }
    }
}

impl From<&str> for Messages {
    fn from(user: &str) -> Messages {
        Messages::from(&[Message::user(user)][..])
    }
}

impl From<&String> for Messages {
    fn from(user: &String) -> Messages {
        Messages::from(user.as_str())
    }
}

impl From<&[Message]> for Messages {
    fn from(messages: &[Message]) -> Messages {
        let mut json = String::from("[");
        for (i, message) in messages.iter().enumerate() {
            json.push_str(if i == 0 { "{\"role\":" } else { ",{\"role\":" });
            quote(&mut json, &message.role);
            json.push_str(",\"content\":");
            quote(&mut json, &message.content);
            json.push('}');
        }
        json.push(']');
        Messages { json }
    }
}

impl From<&Vec<Message>> for Messages {
    fn from(messages: &Vec<Message>) -> Messages {
        Messages::from(messages.as_slice())
    }
}

impl<const N: usize> From<&[Message; N]> for Messages {
    fn from(messages: &[Message; N]) -> Messages {
        Messages::from(&messages[..])
    }
}

fn quote(json: &mut String, text: &str) {
    json.push('"');
    for c in text.chars() {
        match c {
            '"' => json.push_str("\\\""),
            '\\' => json.push_str("\\\\"),
            c if c < ' ' => write!(json, "\\u{:04x}", c as u32).expect("writing to a string does not fail"),
            c => json.push(c),
        }
    }
    json.push('"');
}

/// How messages become a prompt.
#[derive(Clone, Debug)]
pub struct ChatOptions {
    /// A JSON object of further template variables.
    pub kwargs_json: Option<String>,
    /// Open the assistant's turn.
    pub generation_prompt: bool,
    /// Message content may hold special tokens.
    pub trust_content: bool,
}

impl Default for ChatOptions {
    fn default() -> ChatOptions {
        ChatOptions { kwargs_json: None, generation_prompt: true, trust_content: false }
    }
}

impl ChatOptions {
    pub(crate) fn flags(&self) -> u32 {
        (if self.generation_prompt { 0 } else { ponder_sys::PONDER_CHAT_NO_GENERATION_PROMPT })
            | (if self.trust_content { ponder_sys::PONDER_CHAT_TRUST_CONTENT } else { 0 })
    }
    /// (pointer, length) of kwargs_json.
    pub(crate) fn kwargs(&self) -> (*const ponder_sys::c_char, usize) {
        self.kwargs_json.as_ref().map_or((std::ptr::null(), 0), |k| (crate::call::text_ptr(k), k.len()))
    }
}

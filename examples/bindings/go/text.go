package ponder

/*
#include <stdlib.h>
#include "bridge.h"
*/
import "C"

import (
	"encoding/json"
	"io/fs"
	"runtime"
	"unsafe"
)

// Tokenizer turns text into token ids and back.
type Tokenizer struct {
	raw  *C.ponder_tokenizer
	keep any // what the handle may still use
}

// LoadTokenizer of a folder with tokenizer.json, that file, or a GGUF file. files may be nil: the operating system's.
func LoadTokenizer(path string, files fs.FS) (*Tokenizer, error) {
	var a arena
	defer a.free()
	name, e := a.path(path)
	if e != nil {
		return nil, e
	}
	t := &Tokenizer{}
	var err C.ponder_error
	if files == nil {
		e = check(C.ponder_tokenizer_load(name, &t.raw, &err), &err)
	} else {
		f := newFiles(files)
		t.keep = f
		e = check(C.ponder_tokenizer_load_files(f.raw(&a), name, &t.raw, &err), &err)
	}
	return t.made(e)
}

// Tokenizer of the model; NoTokenizer when the checkpoint has none.
func (m *Model) Tokenizer() (*Tokenizer, error) {
	t := &Tokenizer{keep: m}
	var err C.ponder_error
	return t.made(check(C.ponder_model_tokenizer(m.raw, &t.raw, &err), &err))
}

func (t *Tokenizer) made(err error) (*Tokenizer, error) {
	if err != nil {
		return nil, err
	}
	runtime.SetFinalizer(t, (*Tokenizer).Close)
	return t, nil
}

// Close frees it now.
func (t *Tokenizer) Close() error {
	runtime.SetFinalizer(t, nil)
	C.ponder_tokenizer_free(t.raw)
	t.raw = nil
	return nil
}

// TokenizerInfo: ids are -1 when there is none.
type TokenizerInfo struct {
	NIDs                                             int
	BOSTokenID, EOSTokenID, ThinkStartID, ThinkEndID int32
	AddsBOS, HasChatTemplate                         bool
}

// Info of the tokenizer.
func (t *Tokenizer) Info() (TokenizerInfo, error) {
	defer runtime.KeepAlive(t)
	var err C.ponder_error
	info := C.ponder_tokenizer_info{}
	info.struct_size = C.uint32_t(unsafe.Sizeof(info))
	e := check(C.ponder_tokenizer_get_info(t.raw, &info, &err), &err)
	return TokenizerInfo{
		NIDs: int(info.n_ids), BOSTokenID: int32(info.bos_token_id), EOSTokenID: int32(info.eos_token_id),
		ThinkStartID: int32(info.think_start_id), ThinkEndID: int32(info.think_end_id), AddsBOS: info.adds_bos != 0,
		HasChatTemplate: info.has_chat_template != 0,
	}, e
}

// EncodeFlags of Encode.
type EncodeFlags uint32

const (
	EncodeSpecial EncodeFlags = C.PONDER_ENCODE_SPECIAL // added tokens in the text become their ids
	EncodeBOS     EncodeFlags = C.PONDER_ENCODE_BOS     // put the beginning-of-sentence id in front
)

// Encode gives the ids of a text.
func (t *Tokenizer) Encode(text string, flags EncodeFlags) ([]int32, error) {
	defer runtime.KeepAlive(t)
	data := []byte(text)
	return list(func(ids *C.int32_t, capacity C.size_t, count *C.size_t, err *C.ponder_error) C.ponder_status {
		return C.ponder_tokenizer_encode(t.raw, bytePointer(data), C.size_t(len(data)), C.uint32_t(flags), ids, capacity, count, err)
	})
}

// Decode gives the text of ids; unfinished characters become U+FFFD.
func (t *Tokenizer) Decode(ids []int32, skipSpecial bool) (string, error) {
	defer runtime.KeepAlive(t)
	var flags C.uint32_t
	if skipSpecial {
		flags = C.PONDER_DECODE_SKIP_SPECIAL
	}
	var err C.ponder_error
	var out *C.ponder_buffer
	if e := check(C.ponder_tokenizer_decode(t.raw, idPointer(ids), C.size_t(len(ids)), flags, &out, &err), &err); e != nil {
		return "", e
	}
	return string(take(out)), nil
}

// Find the id of one token given by its text, e.g. "<think>".
func (t *Tokenizer) Find(token string) (int32, error) {
	defer runtime.KeepAlive(t)
	data := []byte(token)
	var id C.int32_t
	var err C.ponder_error
	e := check(C.ponder_tokenizer_find(t.raw, bytePointer(data), C.size_t(len(data)), &id, &err), &err)
	return int32(id), e
}

// TokenFlags of Token.
type TokenFlags uint32

const (
	TokenAdded   TokenFlags = C.PONDER_TOKEN_ADDED   // never the result of plain text
	TokenSpecial TokenFlags = C.PONDER_TOKEN_SPECIAL // left out by Decode with skipSpecial
)

// Token gives one token's raw bytes, possibly a part of a character.
func (t *Tokenizer) Token(id int32) ([]byte, TokenFlags, error) {
	defer runtime.KeepAlive(t)
	var data *C.char
	var size C.size_t
	var flags C.uint32_t
	var err C.ponder_error
	if e := check(C.ponder_tokenizer_token(t.raw, C.int32_t(id), &data, &size, &flags, &err), &err); e != nil {
		return nil, 0, e
	}
	return C.GoBytes(unsafe.Pointer(data), C.int(size)), TokenFlags(flags), nil
}

// ChatTemplate makes prompt text of messages.
type ChatTemplate struct {
	raw  *C.ponder_template
	keep any
}

// LoadTemplate of a folder or a GGUF file. files may be nil: the operating system's.
func LoadTemplate(path string, files fs.FS) (*ChatTemplate, error) {
	var a arena
	defer a.free()
	name, e := a.path(path)
	if e != nil {
		return nil, e
	}
	t := &ChatTemplate{}
	var err C.ponder_error
	if files == nil {
		e = check(C.ponder_template_load(name, &t.raw, &err), &err)
	} else {
		f := newFiles(files)
		t.keep = f
		e = check(C.ponder_template_load_files(f.raw(&a), name, &t.raw, &err), &err)
	}
	return t.made(e)
}

// BuiltinTemplate: "deepseek-v2", "deepseek-v3", "deepseek-r1" or "r1-distill".
func BuiltinTemplate(name string) (*ChatTemplate, error) {
	var a arena
	defer a.free()
	text, e := a.path(name)
	if e != nil {
		return nil, e
	}
	t := &ChatTemplate{}
	var err C.ponder_error
	return t.made(check(C.ponder_template_builtin(text, &t.raw, &err), &err))
}

// Template that the model's sessions use.
func (m *Model) Template() (*ChatTemplate, error) {
	t := &ChatTemplate{keep: m}
	var err C.ponder_error
	return t.made(check(C.ponder_model_template(m.raw, &t.raw, &err), &err))
}

func (t *ChatTemplate) made(err error) (*ChatTemplate, error) {
	if err != nil {
		return nil, err
	}
	runtime.SetFinalizer(t, (*ChatTemplate).Close)
	return t, nil
}

// Close frees it now.
func (t *ChatTemplate) Close() error {
	runtime.SetFinalizer(t, nil)
	C.ponder_template_free(t.raw)
	t.raw = nil
	return nil
}

// Render messages to prompt text.
func (t *ChatTemplate) Render(chat Chat) (string, error) {
	defer runtime.KeepAlive(t)
	messages, kwargs, e := chat.json()
	if e != nil {
		return "", e
	}
	var err C.ponder_error
	var out *C.ponder_buffer
	if e := check(C.ponder_template_render(t.raw, bytePointer(messages), C.size_t(len(messages)), bytePointer(kwargs),
		C.size_t(len(kwargs)), chat.flags(), &out, &err), &err); e != nil {
		return "", e
	}
	return string(take(out)), nil
}

// Message of a chat.
type Message struct {
	Role    string `json:"role"`
	Content string `json:"content"`
}

// User is a chat of one message.
func User(text string) Chat { return Chat{Messages: []Message{{"user", text}}} }

// Chat is a conversation and how it becomes a prompt.
type Chat struct {
	Messages           any            // []Message, or anything that encoding/json makes an OpenAI message array of
	Tools              any            // may be nil
	Kwargs             map[string]any // further template variables
	NoGenerationPrompt bool           // do not open the assistant's turn
	TrustContent       bool           // message content may hold special tokens
	Progress           func(done, total int) bool
}

func (c *Chat) json() (messages, kwargs []byte, err error) {
	value := c.Messages
	if c.Tools != nil {
		value = map[string]any{"messages": c.Messages, "tools": c.Tools}
	}
	if messages, err = json.Marshal(value); err != nil {
		return nil, nil, invalid("messages: " + err.Error())
	}
	if len(c.Kwargs) > 0 {
		if kwargs, err = json.Marshal(c.Kwargs); err != nil {
			return nil, nil, invalid("kwargs: " + err.Error())
		}
	}
	return messages, kwargs, nil
}

func (c *Chat) flags() (flags C.uint32_t) {
	if c.NoGenerationPrompt {
		flags |= C.PONDER_CHAT_NO_GENERATION_PROMPT
	}
	if c.TrustContent {
		flags |= C.PONDER_CHAT_TRUST_CONTENT
	}
	return flags
}

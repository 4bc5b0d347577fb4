package ponder

/*
#include <stdlib.h>
#include "bridge.h"
*/
import "C"

// GrammarKind says what the text of SetGrammar is.
type GrammarKind int32

const (
	GrammarNone       GrammarKind = C.PONDER_GRAMMAR_NONE
	GrammarGBNF       GrammarKind = C.PONDER_GRAMMAR_GBNF
	GrammarRegex      GrammarKind = C.PONDER_GRAMMAR_REGEX
	GrammarJSONSchema GrammarKind = C.PONDER_GRAMMAR_JSON_SCHEMA
)

// SetGrammar keeps the answers from here on within a grammar; GrammarNone: no grammar.
func (s *Session) SetGrammar(kind GrammarKind, text string) error {
	var a arena
	defer a.free()
	data := (*C.char)(a.bytes([]byte(text)))
	return s.call(func(err *C.ponder_error) C.ponder_status {
		return C.ponder_session_set_grammar(s.raw, C.ponder_grammar(kind), data, C.size_t(len(text)), err)
	})
}

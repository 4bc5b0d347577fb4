// GBNF, the EBNF that llama.cpp made common:
//
//   root  ::= item ("," item)*      # a comment
//   item  ::= [a-z0-9_]+ | "\"" [^"\n]{1,20} "\"" | 'x'
//
// Matching begins at `root`. Literals in double or single quotes with \n \r \t \\ \" \' \[ \] \- \^ \xHH \uHHHH \UHHHHHHHH;
// classes with ranges and ^; `.` is any character; ( ), |, *, +, ?, {m}, {m,}, {m,n}. A rule ends where the next begins.
#pragma once

#include "lib/grammar/grammar_syntax.h"

namespace ponder::core::grammar {

// invalid_argument: with line and column.
Result<Syntax> parse_gbnf(std::string_view text);

}  // namespace ponder::core::grammar

# The C headers for Doxygen: comments of fields, constants and types become documentation, and what stands below a summary keeps
# its columns.
function escaped(text) {
  gsub(/&/, "\\&amp;", text)
  gsub(/</, "\\&lt;", text)
  gsub(/>/, "\\&gt;", text)
  return text
}
NR == 1 && /^\/\*/ { print "/** @file"; sub(/^\/\*/, " *"); block = 1 }
/^\/\* ----/ { print; next }
/^\/\*\*?$/ { print "/**"; block = 1; next }
block && /^ *\*\/$/ {
  if (body) print " * </pre>"
  print
  block = body = 0
  next
}
block && !body && /^ \*$/ {
  print
  print " * <pre>"
  body = 1
  next
}
block { print escaped($0); if (/\*\/$/) block = 0; next }
inside { print escaped($0); inside = !/\*\/$/; next }  # a comment's further lines
(at = index($0, "/* ")) {
  before = substr($0, 1, at - 1)
  print before (before ~ /[^ ]/ ? "/**<" : "/**") escaped(substr($0, at + 2))
  inside = !/\*\/$/
  next
}
/^\/\*\* / { print "/**" escaped(substr($0, 4)); next }
{ print }

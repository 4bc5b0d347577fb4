//go:build ponder_env

package ponder

// With -tags ponder_env header and library are where CGO_CFLAGS and CGO_LDFLAGS say.

// #cgo LDFLAGS: -lponder
import "C"

//go:build !ponder_env

package ponder

// #cgo pkg-config: ponder
import "C"

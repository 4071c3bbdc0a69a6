"""Tests of WASI preview 1."""

"""Tests of what instances are made of."""

"""Tests of Spire; they mirror the package one to one."""

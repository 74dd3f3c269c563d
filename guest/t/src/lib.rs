//! Test guests: see src/bin.
#![no_std]

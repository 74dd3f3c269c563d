//! Decides.
#![no_std]

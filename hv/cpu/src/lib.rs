//! Touches the machine.
#![no_std]

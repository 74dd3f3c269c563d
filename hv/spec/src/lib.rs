//! What the manuals say: layouts and numbers. No behaviour, no `unsafe`.
#![no_std]
#![forbid(unsafe_code)]

pub mod addr;

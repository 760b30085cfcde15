//! Tests that start the real gateway.

#![cfg(test)]

mod command;
mod crash;
mod destinations;
mod docs;
mod doors;
mod edits;
mod joined;
mod sdk;
mod support;
mod tidy;

//! Tests that start the real gateway.

#![cfg(test)]

mod command;
mod contract;
mod corpora;
mod crash;
mod destinations;
mod docs;
mod doors;
mod edits;
mod faults;
mod joined;
mod partition;
mod records;
mod sdk;
mod secure;
mod support;
mod tidy;
